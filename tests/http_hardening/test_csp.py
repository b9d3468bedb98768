"""One policy, with nonces and without holes, on every page."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from csp.constants import NONCE, SELF
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.template import engines

from http_hardening import checks

pytestmark = pytest.mark.urls("tests.http_hardening.urls")

ADMIN_PAGES = [
    "/admin/",
    "/admin/password_change/",
    "/admin/accounts/user/",
    "/admin/accounts/user/add/",
    "/admin/audit/securityevent/",
]


def policy_of(answer):
    written = answer["Content-Security-Policy"]
    return {part.split(" ")[0]: part.split(" ")[1:] for part in written.split("; ")}


def nonce_of(answer):
    (found,) = {
        source[7:-1]
        for sources in policy_of(answer).values()
        for source in sources
        if source.startswith("'nonce-")
    }
    return found


def test_a_page_without_inline_parts_has_no_nonce(client):
    policy = policy_of(client.get("/page"))
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == ["'self'"]
    assert policy["frame-ancestors"] == ["'none'"]
    assert "unsafe" not in str(policy)


def test_a_page_that_asks_for_a_nonce_gets_the_one_of_its_policy(client):
    answer = client.get("/page?nonce=1")
    assert f'nonce="{nonce_of(answer)}"' in answer.content.decode()
    assert len(nonce_of(answer)) >= 22  # 128 bits


def test_no_two_answers_share_a_nonce(client):
    assert len({nonce_of(client.get("/page?nonce=1")) for _ in range(20)}) == 20


def test_browsers_are_told_where_to_report(client):
    answer = client.get("/page")
    assert answer["Reporting-Endpoints"] == 'csp="/csp-report"'
    assert policy_of(answer)["report-to"] == ["csp"]
    assert policy_of(answer)["report-uri"] == ["/csp-report"]
    assert "Reporting-Endpoints" not in client.get("/api/none")


@pytest.mark.django_db
def test_the_sign_in_page_of_the_admin_keeps_the_policy(client, plain_static):
    keeps_the_policy(client.get("/admin/login/"))


@pytest.mark.django_db
@pytest.mark.parametrize("path", ADMIN_PAGES)
def test_every_page_of_the_admin_keeps_the_policy(client, plain_static, path):
    root = get_user_model().objects.create_superuser(email="root@example.com", password="x")
    client.force_login(root)
    answer = client.get(path)
    assert answer.status_code == 200
    keeps_the_policy(answer)


def keeps_the_policy(answer):
    """Each inline script and style has the page's nonce, and no attribute holds code or style."""
    page = answer.content.decode()
    assert "unsafe" not in answer["Content-Security-Policy"]
    for tag in re.findall(r"<(?:script|style)\b[^>]*>", page):
        if "src=" not in tag and 'type="application/json"' not in tag:
            assert f'nonce="{nonce_of(answer)}"' in tag, tag
    assert not re.search(r"<[^>]*\s(?:style|on[a-z]+)\s*=", page)
    assert "javascript:" not in page
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert not address.startswith(("http:", "https:", "//", "data:")), address


def test_a_bare_style_is_given_the_nonce_of_the_page():
    template = engines["django"].from_string("{% load nonces %}{% nonced markup %}")
    from django.utils.safestring import mark_safe

    markup = mark_safe("<style>a {}</style><style nonce='x'>b {}</style>")
    assert template.render({"markup": markup, "csp_nonce": 'a"b'}) == (
        "<style nonce=\"a&quot;b\">a {}</style><style nonce='x'>b {}</style>"
    )
    assert template.render({"markup": markup}) == markup, "a host may have no nonces"


# --- Checks ---------------------------------------------------------------------------------------
def ids(found):
    return [message.id for message in found]


@pytest.mark.django_db  # SQLite is asked what it can do
def test_the_project_has_nothing_to_say():
    assert [m for m in run_checks() if str(m.id).startswith("http_hardening.")] == []


def test_two_policies_at_once_are_refused(settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, checks.DJANGO_POLICY]
    assert ids(checks.check_policy(None)) == [checks.E001]


@pytest.mark.parametrize(
    "directives",
    [
        {"script-src": [SELF, "'unsafe-inline'"]},
        {"script-src": "'unsafe-eval'"},
        {"style-src": [SELF, "'unsafe-inline'"]},
        {"script-src-elem": ["*"]},
        {"default-src": ["https:"]},
        {"script-src": ["data:"]},
    ],
)
def test_a_hole_in_the_policy_is_refused(settings, directives):
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": directives}
    assert ids(checks.check_policy(None)) == [checks.E002]


def test_a_directive_that_would_be_dropped_is_refused(settings):
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": {"scripts-src": [SELF]}}
    (message,) = checks.check_policy(None)
    assert message.id == checks.E003
    assert "scripts-src" in message.msg


def test_pages_without_a_policy_are_warned_of(settings):
    settings.MIDDLEWARE = [m for m in settings.MIDDLEWARE if m not in checks.PAGE_POLICIES]
    assert ids(checks.check_middleware(None)) == [checks.W004]


def test_headers_below_django_s_middleware_are_warned_of(settings):
    order = [m for m in settings.MIDDLEWARE if m != checks.HEADERS]
    settings.MIDDLEWARE = order
    assert ids(checks.check_middleware(None)) == [checks.W005]
    settings.MIDDLEWARE = [*order, checks.HEADERS]
    assert ids(checks.check_middleware(None)) == [checks.W005]


def test_templates_without_nonces_are_warned_of(settings):
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "OPTIONS": {"context_processors": []}}]
    assert ids(checks.check_templates(None)) == [checks.W006]
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": {"script-src": [SELF]}}
    assert ids(checks.check_templates(None)) == []
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": {"script-src": (SELF, NONCE)}}
    assert ids(checks.check_templates(None)) == [checks.W006]


@pytest.mark.parametrize(("version", "found"), [((5, 2, 8), [checks.W007]), ((6, 1, 0), [])])
def test_an_admin_before_this_app_is_warned_of_where_its_page_has_a_bare_style(
    monkeypatch, version, found
):
    apps = SimpleNamespace(INSTALLED_APPS=["django.contrib.admin", "http_hardening"])
    monkeypatch.setattr(checks, "django_settings", apps)
    monkeypatch.setattr(checks, "django", SimpleNamespace(VERSION=version))
    assert ids(checks._admin_first()) == found
