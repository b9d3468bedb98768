"""Reports of browsers: both formats, and whatever else somebody sends there."""

from __future__ import annotations

import json

import pytest
from django.core.cache import cache
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from garrison import events as security_events
from http_hardening import events, reports
from http_hardening.reports import Violation

pytestmark = pytest.mark.urls("tests.http_hardening.urls")

OLD = {
    "csp-report": {
        "document-uri": "https://site.example/admin/?token=s3cret",
        "violated-directive": "script-src-elem 'self'",
        "effective-directive": "script-src-elem",
        "blocked-uri": "https://evil.example/x.js?s3cret",
        "script-sample": "s3cret",
        "disposition": "enforce",
    }
}
NEW = [
    {
        "type": "csp-violation",
        "age": 10,
        "url": "https://site.example/admin/",
        "user_agent": "Browser",
        "body": {
            "documentURL": "https://site.example/admin/?token=s3cret",
            "effectiveDirective": "script-src-elem",
            "blockedURL": "https://evil.example/x.js?s3cret",
            "sample": "s3cret",
            "disposition": "enforce",
        },
    },
    {"type": "deprecation", "body": {"id": "x"}},
]
SAID = Violation("script-src-elem", "https://evil.example", "/admin/", "enforce")


@pytest.fixture
def said():
    heard = []

    def hear(*, event, **_):
        # A busy machine may lose the store of the counters for a moment, and say so.
        if event.kind.name.startswith("http_hardening."):
            heard.append(event)

    security_events.security_event.connect(hear)
    yield heard
    security_events.security_event.disconnect(hear)


def send(client, body, content_type="application/csp-report"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post("/csp-report", body, content_type)


@pytest.mark.parametrize("body", [OLD, NEW], ids=["csp-report", "reports+json"])
def test_both_formats_say_the_same(body):
    assert reports.read(json.dumps(body).encode()) == [SAID]


@pytest.mark.django_db
def test_a_report_is_an_event_and_equal_ones_are_one(client, said):
    assert [send(client, OLD).status_code for _ in range(3)] == [204] * 3
    assert send(client, NEW, "application/reports+json").status_code == 204
    (event,) = said
    assert event.kind is events.CSP_VIOLATED
    assert event.data["blocked"] == "https://evil.example"
    assert "s3cret" not in repr(event)


def different(number):
    return {"csp-report": {**OLD["csp-report"], "blocked-uri": f"https://e{number}.example/"}}


@pytest.mark.django_db
def test_a_flood_of_different_reports_is_capped(client, said, settings):
    settings.HTTP_HARDENING_MOST_VIOLATIONS_AN_HOUR = 3
    settings.RATE_LIMITS = {"reports": []}
    for number in range(10):
        assert send(client, different(number)).status_code == 204
    assert len(said) == 3


@pytest.mark.django_db
def test_one_address_may_not_report_without_end(client):
    codes = [send(client, different(number)).status_code for number in range(70)]
    assert codes.count(204) == 60
    assert set(codes[60:]) == {429}


@pytest.mark.parametrize(
    ("blocked", "source"),
    [
        ("inline", "inline"),
        ("eval", "eval"),
        ("data", "data"),
        ("data:text/html,s3cret", "data"),
        ("https://user:s3cret@evil.example:8443/path", "https://evil.example:8443"),
        ("https://[broken", "invalid"),
        ("", ""),
    ],
)
def test_what_was_blocked_is_told_by_its_origin(blocked, source):
    report = {"csp-report": {**OLD["csp-report"], "blocked-uri": blocked}}
    (violation,) = reports.read(json.dumps(report).encode())
    assert violation.blocked == source


@pytest.mark.parametrize("scheme", reports.EXTENSIONS)
def test_a_browser_s_own_extensions_are_not_the_site_s_business(scheme):
    report = {"csp-report": {**OLD["csp-report"], "blocked-uri": f"{scheme}://abc/x.js"}}
    assert reports.read(json.dumps(report).encode()) == []


def test_a_body_holds_at_most_twenty_reports():
    assert len(reports.read(json.dumps(NEW[:1] * 100).encode())) == reports.MOST_REPORTS


def test_control_characters_do_not_reach_an_event():
    report = {"csp-report": {**OLD["csp-report"], "document-uri": "https://a.example/\n\x1b[31m"}}
    (violation,) = reports.read(json.dumps(report).encode())
    assert violation.page.isprintable()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[" * 16_000, b"null", b"[]", b"{}", b'{"csp-report": []}',
     b'{"csp-report": {"effective-directive": 5}}', b'[{"type": "csp-violation", "body": 1}]',
     b'[{"type": "csp-violation", "body": {"effectiveDirective": "<b>"}}]', b"x" * 20_000],
    ids=lambda body: body[:20],
)  # fmt: skip
def test_whatever_is_sent_the_answer_is_204_and_nothing_is_said(client, said, body):
    assert send(client, body).status_code == 204
    assert said == []


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["csp-report", "type", "body", "blockedURL", "effectiveDirective"]),
                inner | st.just("csp-violation") | st.just("script-src"),
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_reading_never_fails(body):
    for violation in reports.read(body):
        assert reports.DIRECTIVE.fullmatch(violation.directive)
        assert len(violation.blocked) <= reports.LONGEST_TEXT


def test_a_get_is_refused(client):
    assert client.get("/csp-report").status_code == 405


def test_nothing_is_said_while_the_cache_is_down(said, monkeypatch):
    def fails(*_, **__):
        raise ConnectionError

    monkeypatch.setattr(type(cache._connections["default"]), "add", fails)
    reports.record([SAID])
    assert said == []
