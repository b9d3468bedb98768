"""What the real site answers at its edge: methods, bodies, challenges, errors, sign-outs."""

from __future__ import annotations

import logging
import logging.config

import django
import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.test import Client
from django.utils.log import DEFAULT_LOGGING

from garrison.errors import PROBLEM_JSON
from http_hardening.conf import settings
from sessions_tracking import services as sessions

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]

OWN_SITE = pytest.mark.urls("tests.http_hardening.urls")
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
JSON = "application/json"
PAGE = "text/html; charset=utf-8"
LONG = b'{"email": "' + b"a" * 1024 * 1024 + b'"}'
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def strict():
    """A program, that is refused by the CSRF check as a browser is."""
    return Client(enforce_csrf_checks=True, raise_request_exception=False, headers={"Accept": JSON})


@pytest.fixture
def anyone():
    return Client(enforce_csrf_checks=True, raise_request_exception=False)


@pytest.fixture
def person():
    return get_user_model().objects.create_superuser(email="ada@example.org", password="x")


def bearer(person):
    pair = sessions.start_token_session(user=person, amr=["pwd"])
    return {"Authorization": f"Bearer {pair.access}"}


def verify_error(answer, status, *, is_page=False):
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == (PAGE if is_page else PROBLEM_JSON)
    assert "no-store" in answer["Cache-Control"]
    if not is_page:
        body = answer.json()
        assert (body["status"], body["request_id"]) == (status, answer["X-Request-ID"])
    if not answer.request["PATH_INFO"].startswith(tuple(settings.api_prefixes)):
        assert "Accept" in answer["Vary"]


# --- Methods --------------------------------------------------------------------------------------
READ_ONLY = [
    "/health",
    "/health/ready",
    "/favicon.ico",
    "/.well-known/jwks.json",
    "/api/docs",
    "/api/schema",
]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", READ_ONLY)
def test_what_is_only_read_answers_405_before_csrf(strict, path, method):
    answer = strict.generic(method, path, b"a=1", FORM)
    verify_error(answer, 405)
    assert answer.json()["code"] == "method_not_allowed"
    assert {"GET", "HEAD"} <= set(answer["Allow"].split(", "))
    assert int(answer.get("Content-Length", len(answer.content))) == len(answer.content)


def test_staff_get_a_405_from_the_dashboard_s_fresh_part(strict, person):
    strict.force_login(person)
    answer = strict.post("/admin/dashboard", headers={"Accept": "text/html"})
    verify_error(answer, 405, is_page=True)
    assert answer["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", READ_ONLY)
def test_what_is_read_answers_head_without_a_body(strict, path):
    read, head = strict.get(path), strict.head(path)
    assert head.status_code == read.status_code
    assert head.content == b""


@pytest.mark.parametrize(("path", "status"), [("/api/schema", 200), ("/api/auth/login", 200),
                                              ("/api/sessions", 401)])  # fmt: skip
def test_options_is_answered(strict, path, status):
    answer = strict.options(path)
    assert answer.status_code == status
    assert "no-store" in answer["Cache-Control"]


# --- Bodies ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "content_type", "status"),
    [
        ("/api/auth/login", "application/json", 413),
        ("/admin/login/", FORM, 413),
        ("/admin/login/", "application/json", 403),  # of a form without its token
        ("/api/auth/login", FORM, 415),
    ],
)
def test_a_body_that_is_too_large_is_413_where_it_would_be_read(strict, path, content_type, status):
    strict.get("/admin/login/")  # sets the cookie without which a form is not even read
    verify_error(strict.generic("POST", path, LONG, content_type), status)


# --- Challenges -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sent", "blames"),
    [
        ({}, False),
        ({"Authorization": ""}, False),
        ({"Authorization": "Basic YTpi"}, False),
        ({"Authorization": "garbage"}, False),
        ({"Authorization": "\xff \xff"}, False),
        ({"Authorization": "Bearer a.b.c"}, True),
        ({"Authorization": "bearer  x"}, True),
        ({"Authorization": "Bearer"}, True),
    ],
)
def test_a_challenge_names_the_realm_and_blames_only_bearer_tokens(strict, sent, blames):
    for path in ("/api/sessions", "/api/auth/me"):
        answer = strict.get(path, headers=sent)
        verify_error(answer, 401)
        refused = ', error="invalid_token"' if blames else ""
        assert answer["WWW-Authenticate"] == f'Bearer realm="api"{refused}'


# --- The form of an error -------------------------------------------------------------------------
ACCEPTS = [  # whether it prefers a page
    (None, True),
    ("", False),
    ("*/*", True),
    ("text/*, application/*", True),
    ("application/*", False),
    ("application/json, */*;q=0.5", False),
    (PROBLEM_JSON, False),
    ("application/json", False),
    ("application/problem+json, text/html;q=0.5", False),
    ("text/html", True),
    (BROWSER, True),
    ("application/json;q=0.1, text/html", True),
    ("image/png", False),
    (";;;", False),
    ("text/html;q=x, /, */html, a/b/c", True),
    ("\xff,\x00,,", False),
]


@pytest.mark.parametrize(("accept", "prefers_page"), ACCEPTS)
def test_an_error_has_the_form_that_its_reader_prefers(anyone, accept, prefers_page):
    headers = {} if accept is None else {"Accept": accept}
    verify_error(anyone.get("/none", headers=headers), 404, is_page=prefers_page)
    verify_error(anyone.post("/admin/login/", headers=headers), 403, is_page=prefers_page)
    verify_error(anyone.post("/health", headers=headers), 405, is_page=prefers_page)
    verify_error(anyone.get("/api/none", headers=headers), 404)
    forged = {**headers, "Host": "evil.example"}
    verify_error(anyone.get("/none", headers=forged), 400, is_page=prefers_page)


@pytest.mark.parametrize(("accept", "status"), [
    (None, 200), ("", 200), ("*/*", 200), (PROBLEM_JSON, 200), (f"{PROBLEM_JSON};q=0.9", 200),
    ("application/*", 200), ("text/html", 406), ("image/png", 406), ("a/b/c", 406),
    (";;;", 406), ("text/html, */*;q=0.1", 200),
])  # fmt: skip
def test_an_api_answers_whoever_reads_json_or_problems(anyone, person, accept, status):
    headers = bearer(person) | ({} if accept is None else {"Accept": accept})
    answer = anyone.get("/api/sessions", headers=headers)
    assert answer.status_code == status, answer.content
    assert answer["Cache-Control"] == "no-store"
    if status == 406:
        verify_error(answer, 406)


@OWN_SITE
@pytest.mark.parametrize(("what", "status"), [
    ("parse", 400), ("suspicious", 400), ("unsigned", 401), ("403", 403), ("404", 404),
    ("not-acceptable", 406), ("refusal", 429), ("throttled", 429), ("bug", 500), ("busy", 503),
])  # fmt: skip
def test_no_cache_keeps_an_error_of_an_api(strict, what, status):
    answer = strict.get(f"/api/raise/{what}")
    verify_error(answer, status)
    assert ("Retry-After" in answer) is (status in {429, 503})


@OWN_SITE
def test_no_cache_keeps_an_error_that_a_view_has_made_itself(strict):
    answer = strict.get("/own-error")
    assert (answer.status_code, answer["Cache-Control"]) == (410, "no-store")
    assert answer.content == b"gone"


# --- Sign-outs ------------------------------------------------------------------------------------
@pytest.mark.parametrize(("path", "body", "cleared"), [
    ("/api/auth/logout", {}, '"cache", "storage"'),
    ("/api/sessions/logout-all", {"include_current": True}, '"cache", "storage"'),
    ("/api/sessions/logout-all", {"include_current": False}, None),
])  # fmt: skip
def test_a_sign_out_of_the_api_clears_the_site_s_data(strict, person, path, body, cleared):
    headers = bearer(person)
    answer = strict.post(path, body, "application/json", headers=headers)
    assert answer.status_code < 300, answer.content
    assert answer.headers.get("Clear-Site-Data") == cleared
    assert "Clear-Site-Data" not in strict.post(path, body, "application/json")  # a 401


def test_a_sign_out_of_the_admin_keeps_the_theme(client, person):
    client.force_login(person)
    assert "Clear-Site-Data" not in client.get("/admin/")
    answer = client.post("/admin/logout/")
    assert answer.status_code in {200, 302}
    assert answer["Clear-Site-Data"] == '"cache"'


# --- Mails to the host's people -------------------------------------------------------------------
@OWN_SITE
def test_a_503_that_is_meant_is_a_warning_and_no_mail_to_the_admins(strict, settings, caplog):
    ops = "ops@example.org"
    settings.ADMINS = [ops if django.VERSION >= (6,) else ("ops", ops)]
    logger = logging.getLogger("django")
    before = logger.handlers[:], logger.level, logging.getLogger("django.request").level
    logging.config.dictConfig(DEFAULT_LOGGING)
    logging.getLogger("django.request").setLevel("NOTSET")
    try:
        assert strict.get("/api/raise/busy").status_code == 503
        assert strict.get("/busy").status_code == 503
        warned = [r.levelname for r in caplog.records if r.name == "django.request"]
        assert (warned, len(mail.outbox)) == (["WARNING"] * 2, 0)
        assert strict.get("/fails").status_code == 500
        assert len(mail.outbox) == 1, "an error of ours is mailed"
    finally:
        logger.handlers[:], level, request_level = before
        logger.setLevel(level)
        logging.getLogger("django.request").setLevel(request_level)
