"""The description of the real API, and the page that shows it."""

from __future__ import annotations

import json
import re

import pytest
from django.urls import URLPattern, get_resolver

from http_hardening.api.schema import document


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


def test_every_operation_says_how_it_fails(described):
    problem = {"$ref": "#/components/schemas/Problem"}
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            failing = {
                code: answer["content"]["application/problem+json"]["schema"]
                for code, answer in operation["responses"].items()
                if "application/problem+json" in answer.get("content", {})
            }
            assert failing["default"] == problem, f"{method} {path}"
            assert set(map(str, failing.values())) == {str(problem)}
            if method in {"post", "put", "patch"}:
                assert "400" in failing, f"{method} {path}"
            if operation.get("security", [{}]) != [{}]:
                assert "401" in failing, f"{method} {path}"


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
