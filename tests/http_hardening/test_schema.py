"""The description of the real API, and the page that shows it."""

from __future__ import annotations

import json
import re

import pytest
from django.contrib.auth import get_user_model
from django.urls import URLPattern, get_resolver
from django.utils import timezone
from jsonschema_rs import Draft4Validator

from garrison.errors import Refusal
from http_hardening.api.schema import document
from http_hardening.codes import error_codes


@pytest.fixture(scope="module")
def described():
    return json.loads(document())


def api_paths(patterns, prefix=""):
    """Walk the URLconf for what lies under /api/ and is no description itself."""
    for pattern in patterns:
        path = prefix + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern))
        if isinstance(pattern, URLPattern):
            if path.startswith("api/") and path not in {"api/schema", "api/docs"}:
                yield f"/{path}"
        else:
            yield from api_paths(pattern.url_patterns, path)


def test_every_endpoint_is_described(described):
    assert sorted(described["paths"]) == sorted(api_paths(get_resolver().url_patterns))
    assert described["openapi"].startswith("3.")


def operations(described):
    return [
        (f"{method} {path}", operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]


def resolved(described, node):
    """Follow one reference."""
    while "$ref" in node:
        _, *keys = node["$ref"].split("/")
        node = described
        for key in keys:
            node = node[key]
    return node


def test_every_operation_names_each_status_and_no_other(described):
    for name, operation in operations(described):
        answers = operation["responses"]
        assert {"400", "406", "429", "500", "503"} <= set(answers), name
        assert "default" not in answers, name
        if name.startswith(("post", "put", "patch")):
            assert {"411", "413", "415"} <= set(answers), name
        if operation.get("security", [{}]) != [{}]:
            assert {"401", "403"} <= set(answers), name
        for status, given in answers.items():
            answer = resolved(described, given)
            headers = set(answer["headers"])
            assert {"X-Request-ID", "RateLimit", "RateLimit-Policy"} <= headers, name
            assert ("Retry-After" in headers) == (status in {"429", "503"}), name
            if status >= "400":
                (content,) = answer["content"].values()
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, name
                assert str(content["example"]["status"]) == status, name


def test_an_operation_s_own_refusals_are_named(described):
    answers = described["paths"]["/api/auth/login"]["post"]["responses"]
    assert "`invalid_credentials`" in answers["401"]["description"]
    assert "`email_unverified`" in answers["403"]["description"]
    assert "`locked_out`" in answers["429"]["description"]


def test_a_reader_and_a_generator_find_a_name_for_everything(described):
    tags = {tag["name"] for tag in described["tags"] if tag["description"]}
    ids = [operation["operationId"] for _, operation in operations(described)]
    assert len(set(ids)) == len(ids)
    for name, operation in operations(described):
        assert re.fullmatch(r".+[^.]", operation["summary"]), name
        assert operation["description"], name
        assert set(operation["tags"]) <= tags, name


def test_a_body_is_described_as_strictly_as_it_is_read(described):
    for name, operation in operations(described):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            body = resolved(described, content["schema"])
            assert body["additionalProperties"] is False, name
            assert set(body["example"]) <= set(body["properties"]), name
            for field in body["properties"].values():
                if field.get("type") == "string":
                    assert {"pattern", "format", "enum"} & set(field), name


def validator(schema):
    """Return a validator of the draft that OpenAPI 3.0 extends, whose patterns are ECMA-262."""
    return Draft4Validator(schema, validate_formats=True)


def test_every_example_is_valid_by_its_own_schema(described):
    registry = {"components": described["components"]}
    seen = 0
    for schema in described["components"]["schemas"].values():
        if "example" in schema:
            validator({**registry, **schema}).validate(schema["example"])
            seen += 1
    problem = {**registry, "$ref": "#/components/schemas/Problem"}
    for _, operation in operations(described):
        for answer in operation["responses"].values():
            for content in resolved(described, answer).get("content", {}).values():
                if "example" in content:
                    validator(problem).validate(content["example"])
                    seen += 1
    assert seen > 100


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["register", "password/strength", "login"])
def test_an_example_is_accepted_by_the_api(described, client, path):
    content = described["paths"][f"/api/auth/{path}"]["post"]["requestBody"]["content"]
    example = resolved(described, content["application/json"]["schema"])["example"]
    get_user_model().objects.create_user(
        email="other@example.com" if path == "register" else example.get("email", ""),
        password=example["password"],
        email_verified_at=timezone.now(),
    )
    answer = client.post(f"/api/auth/{path}", example, content_type="application/json")
    assert answer.status_code in {200, 202}, answer.content


def test_every_code_that_is_answered_is_listed(described):
    listed = set(described["components"]["schemas"]["CodeEnum"]["enum"])
    assert listed == {each.code for each in error_codes()}
    assert {"validation_failed", "invalid_credentials", "session_ended", "not_found"} <= listed


def test_a_refusal_of_a_test_or_a_stranger_is_not_listed():
    type("Odd", (Refusal,), {"code": "odd", "__module__": "elsewhere"})
    assert "odd" not in {each.code for each in error_codes()}


def test_a_problem_is_described_as_it_is_answered(described, client):
    answered = client.get("/api/auth/me").json()
    fields = described["components"]["schemas"]["Problem"]
    assert set(answered) == set(fields["required"])
    assert set(fields["properties"]) == {*answered, "errors"}


def test_private_endpoints_name_the_way_in(described):
    assert described["components"]["securitySchemes"]["accessToken"]["scheme"] == "bearer"
    assert {"accessToken": []} in described["paths"]["/api/auth/me"]["get"]["security"]


def test_the_document_is_public_kept_and_asked_for_again_cheaply(client):
    answer = client.get("/api/schema")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/vnd.oai.openapi+json"
    assert answer.content == document()
    assert "public" in answer["Cache-Control"]
    again = client.get("/api/schema", headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_document_is_counted_like_any_answer(client):
    assert client.get("/api/schema")["RateLimit-Policy"] == '"api";q=100;w=900'


def test_the_page_keeps_the_policy_and_needs_nobody_else(client, plain_static):
    answer = client.get("/api/docs")
    page = answer.content.decode()
    policy = answer["Content-Security-Policy"]
    assert answer.status_code == 200
    assert "unsafe" not in policy
    assert "img-src 'self' data:" in policy
    assert "script-src 'self'" in policy
    assert "<style" not in page
    assert all(address.startswith("/") for address in re.findall(r'(?:src|href)="([^"]+)"', page))
    for script in re.findall(r"<script[^>]*>", page):
        assert "src=" in script
