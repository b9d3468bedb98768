"""Every error is a problem with a code and the request's id, and none tells more than it should."""

from __future__ import annotations

import json

import pytest
from django.http import UnreadablePostError
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

pytestmark = pytest.mark.urls("tests.http_hardening.urls")


def problem_of(answer):
    body = answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    assert body["status"] == answer.status_code
    assert body["request_id"] == answer["X-Request-ID"]
    assert body["type"] == f"urn:garrison:problem:{body['code']}"
    assert body["title"]
    assert body["detail"]
    assert "secret" not in answer.content.decode()
    return body


def post(client, body, content_type="application/json", **extra):
    return client.post("/api/echo", body, content_type, **extra)


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [
        ("refusal", 429, "locked_out"),
        ("unsigned", 401, "token_invalid"),
        ("parse", 400, "invalid_body"),
        ("own", 409, "in_use"),
        ("throttled", 429, "rate_limited"),
        ("not-acceptable", 406, "not_acceptable"),
        ("404", 404, "not_found"),
        ("403", 403, "permission_denied"),
        ("suspicious", 400, "bad_request"),
        ("django-invalid", 400, "validation_failed"),
        ("nested-invalid", 400, "validation_failed"),
        ("bug", 500, "internal_error"),
        ("drf-500", 500, "internal_error"),
    ],
)
def test_what_a_view_raises_has_a_status_and_a_code(calm_client, what, status, code):
    answer = calm_client.get(f"/api/raise/{what}")
    assert (answer.status_code, problem_of(answer)["code"]) == (status, code)


def test_a_refusal_keeps_its_errors_and_its_wait(client):
    answer = client.get("/api/raise/refusal")
    assert answer["Retry-After"] == "7"
    assert problem_of(answer)["errors"] == [{"code": "c", "message": "m", "field": "f"}]


def test_a_wait_below_a_second_is_a_second(client):
    assert client.get("/api/raise/throttled")["Retry-After"] == "1"


def test_errors_are_a_list_with_paths(client):
    assert problem_of(client.get("/api/raise/nested-invalid"))["errors"] == [
        {"code": "invalid", "message": "bad", "field": "items.1.name"},
        {"code": "invalid", "message": "all of it"},
    ]
    (error,) = problem_of(client.get("/api/raise/django-invalid"))["errors"]
    assert (error["field"], error["message"]) == ("name", "Too odd.")


def test_a_401_names_the_scheme(client):
    anonymous = client.get("/api/private")
    assert (anonymous.status_code, problem_of(anonymous)["code"]) == (401, "not_authenticated")
    assert anonymous["WWW-Authenticate"] == 'Bearer realm="api"'
    assert client.get("/api/raise/unsigned")["WWW-Authenticate"] == 'Bearer realm="api"'
    assert "WWW-Authenticate" not in client.get("/api/raise/404")


def test_a_method_that_is_not_there_is_answered_with_those_that_are(client):
    answer = client.delete("/api/echo")
    assert (answer.status_code, problem_of(answer)["code"]) == (405, "method_not_allowed")
    assert "POST" in answer["Allow"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "nonsense",
                     "application/json; charset=latin-1"]
)  # fmt: skip
def test_another_content_type_is_415(client, content_type):
    answer = post(client, b'{"text": "a"}', content_type)
    assert (answer.status_code, problem_of(answer)["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=UTF-8"])
def test_json_is_read(client, content_type):
    assert post(client, b'{"text": "a"}', content_type).json() == {"text": "a"}


def test_a_body_of_a_megabyte_is_read_and_a_byte_more_is_not(client):
    def body(length):
        return b'{"anything":"' + b"a" * (length - 15) + b'"}'

    assert post(client, body(1024 * 1024)).status_code == 200
    answer = post(client, body(1024 * 1024 + 1))
    assert (answer.status_code, problem_of(answer)["code"]) == (413, "body_too_large")
    answer = post(client, body(5 * 1024 * 1024))
    assert (answer.status_code, problem_of(answer)["code"]) == (413, "body_too_large")


def test_a_false_content_length_is_no_way_around_the_limit(client):
    answer = post(client, b'{"text": "a"}', CONTENT_LENGTH="5")
    assert (answer.status_code, problem_of(answer)["code"]) == (400, "invalid_json")


def test_a_connection_that_breaks_is_400(client, monkeypatch):
    from django.core.handlers.wsgi import WSGIRequest

    def breaks(*_):
        raise UnreadablePostError("secret address")

    monkeypatch.setattr(WSGIRequest, "read", breaks)
    answer = post(client, b'{"text": "a"}')
    assert (answer.status_code, problem_of(answer)["code"]) == (400, "body_unreadable")


def test_no_body_is_an_empty_object(client):
    assert post(client, b"").json() == {}


@pytest.mark.parametrize("path", ["/api/none", "/api/", "/webhooks/none", "/.well-known/none"])
def test_an_unknown_path_of_the_api_is_a_problem(client, path):
    assert problem_of(client.get(path))["code"] == "not_found"


def test_an_error_of_ours_outside_of_rest_framework_is_a_problem_too(calm_client):
    answer = calm_client.get("/api/fails")
    assert (answer.status_code, problem_of(answer)["code"]) == (500, "internal_error")


@pytest.mark.parametrize(("path", "status"), [("/none", 404), ("/fails", 500)])
def test_a_person_gets_a_page(calm_client, path, status):
    answer = calm_client.get(path, headers={"Accept": "text/html"})
    page = answer.content.decode()
    assert answer.status_code == status
    assert answer["Content-Type"].startswith("text/html")
    assert answer["X-Request-ID"] in page
    assert "secret" not in page
    assert "<style" not in page
    assert "style=" not in page


def test_a_program_gets_a_problem_wherever_it_asks(client):
    answer = client.get("/none", headers={"Accept": "application/json"})
    assert problem_of(answer)["code"] == "not_found"


def test_a_forged_host_is_400(client):
    answer = client.get("/api/none", headers={"Host": "evil.example"})
    assert (answer.status_code, problem_of(answer)["code"]) == (400, "bad_request")


@pytest.mark.django_db
def test_a_form_without_its_token_is_answered_on_a_page_under_the_policy(plain_static):
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/admin/login/", {"username": "a", "password": "b"})
    assert answer.status_code == 403
    assert "out of date" in answer.content.decode()
    assert "<style" not in answer.content.decode()


@pytest.mark.parametrize(
    "path", ["/api/none?cursor=%00", "/none?q=a%00b", "/api/raise/a%00b", "/%00"]
)
def test_a_nul_in_an_address_is_400(client, path):
    answer = client.get(path, headers={"Accept": "application/json"})
    assert (answer.status_code, problem_of(answer)["code"]) == (400, "nul_character")


def test_a_body_without_a_length_is_refused_and_not_read_as_empty(client):
    answer = client.generic(
        "POST", "/api/echo", b"", "application/json", headers={"Transfer-Encoding": "chunked"}
    )
    assert (answer.status_code, problem_of(answer)["code"]) == (411, "length_required")


def test_an_escaped_escape_is_no_nul(client):
    assert client.get("/page?q=%2500").status_code == 200


JUNK = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
    st.dictionaries(
        st.sampled_from(
            ["text", "password", "count", "share", "price", "flag", "at", "key", "choice",
             "several", "numbers", "table", "item", "items", "anything", "made", "nothing"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["name", "x"]), inner, max_size=3),
            max_leaves=6,
        ),
    ).map(lambda value: json.dumps(value).encode()),
)  # fmt: skip


@hypothesis_settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(body=JUNK)
def test_whatever_is_posted_the_answer_is_a_success_or_a_problem(calm_client, body):
    answer = post(calm_client, body)
    assert answer.status_code in {200, 400}
    if answer.status_code == 400:
        assert problem_of_any(answer)["code"]


def problem_of_any(answer):
    body = answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    assert body["request_id"] == answer["X-Request-ID"]
    return body
