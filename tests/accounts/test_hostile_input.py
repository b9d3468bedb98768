"""Nothing that a client sends yields a 500, and every refusal has a stable code."""

import json

import pytest
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from accounts.models import LockoutBucket
from audit.models import SecurityEvent
from tests.accounts.conftest import PASSWORD

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("no_rate_limits", "ada"),
]

DOORS = {
    "register": {"email": "new@example.org", "password": PASSWORD, "name": "N"},
    "login": {"email": "ada@example.org", "password": PASSWORD},
    "verify-email": {"email": "ada@example.org", "code": "123456"},
    "verify-email/resend": {"email": "ada@example.org"},
    "password/strength": {"email": "ada@example.org", "password": PASSWORD},
}
VALUES = {
    "number": 123456789012,
    "float": 1.5,
    "true": True,
    "null": None,
    "array": ["ada@example.org"],
    "object": {"a": 1},
    "empty": "",
    "blank": "   ",
    "NUL": "a\0b@example.org",
    "surrogate": "\ud800@example.org",
    "300 characters": "x" * 288 + "@example.org",
    "100,000 characters": "x" * 100_000,
    "newline": "a@example.org\r\nBcc: b@example.org",
    "right to left": "a\u202eb@example.org",
    "format string": "%s%n{0}{{7*7}}${jndi:ldap://x}",
    "quote": "a'--@example.org",
}


def send(path, body, **more):
    """Send raw bytes as JSON; an exception in the view would be raised here and fail the test."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    options = {"content_type": "application/json"} | more
    return Client(raise_request_exception=True).post(f"/api/auth/{path}", body, **options)


def is_refused(response, *, statuses=(400, 401, 415)):
    assert response.status_code in statuses, (response.status_code, response.content[:300])
    body = response.json()
    assert {"code", "status", "request_id"} <= set(body)
    assert response.headers["Content-Type"].startswith("application/problem+json")
    return True


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("kind", VALUES)
def test_every_field_of_every_door_takes_anything(path, kind):
    for field in DOORS[path]:
        response = send(path, DOORS[path] | {field: VALUES[kind]})
        assert response.status_code < 500, (field, response.content[:300])
        if kind in {"number", "float", "true", "null", "array", "object", "NUL", "surrogate"}:
            assert is_refused(response, statuses=(400,)), field


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[1]",
        b"null",
        b'"text"',
        b"12",
        b"NaN",
        b'{"email": NaN}',
        b'{"email": 1e999}',
        b"\xff\xfe",
        b'{"email": "\xff"}',
        b'{"email": "a@example.org", "email": "b@example.org", "password": "x"}',
        b"{" * 10_000,
        b"[" * 100_000,
        b'{"email":' * 1000,
        b'{"email": "' + b"x" * (2 * 1024 * 1024) + b'"}',
        b'{"\\ud800": 1}',
        b'{"a\\u0000b": 1}',
        b'{"__class__": {"__mro__": 1}}',
    ],
    ids=range(20),
)
def test_every_door_takes_any_body(path, body):
    assert is_refused(send(path, body), statuses=(400, 413))


@pytest.mark.parametrize("path", DOORS)
def test_a_field_that_is_not_known_is_refused(path):
    assert is_refused(send(path, DOORS[path] | {"is_staff": True}), statuses=(400,))


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "\xff",
        "a/b;" * 999,
    ],
)
def test_every_door_takes_any_content_type(path, content_type):
    response = send(path, DOORS[path], content_type=content_type)
    assert is_refused(response, statuses=(400, 415))


@pytest.mark.parametrize("path", [*DOORS, "me", "login-history"])
@pytest.mark.parametrize("method", ["get", "put", "delete", "options", "trace", "patch"])
def test_every_door_takes_any_method(path, method):
    response = getattr(Client(), method)(f"/api/auth/{path}")
    assert response.status_code in {200, 400, 401, 405}


@pytest.mark.parametrize(
    "header",
    [
        {"HTTP_AUTHORIZATION": "Bearer \xff\x00"},
        {"HTTP_USER_AGENT": "\x00" * 2000},
        {"HTTP_USER_AGENT": "\ud83d" + "x" * 10_000},
        {"HTTP_X_FORWARDED_FOR": "not, an, address"},
        {"REMOTE_ADDR": ""},
        {"REMOTE_ADDR": "fe80::1%eth0"},
        {"HTTP_COOKIE": "session=\x00"},
    ],
    ids=range(7),
)
def test_a_login_takes_any_header(header):
    wrong = {"email": "ada@example.org", "password": "wrong"}
    assert is_refused(send("login", wrong, **header), statuses=(401,))


@given(body=st.dictionaries(st.sampled_from(["email", "password"]), st.text(st.characters())))
@hypothesis_settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_login_takes_any_text(body):
    LockoutBucket.objects.all().delete()
    assert is_refused(send("login", body), statuses=(400, 401))


def test_nothing_that_was_typed_is_stored_for_names_of_nobody():
    typed = "correct-horse-typed-into-the-wrong-field"
    send("login", {"email": typed, "password": typed})
    from axes.models import AccessAttempt

    stored = str(list(SecurityEvent.objects.values())) + str(list(AccessAttempt.objects.values()))
    stored += str(list(LockoutBucket.objects.values()))
    assert AccessAttempt.objects.count() == 1
    assert typed not in stored
