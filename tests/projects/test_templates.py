"""The project's templates win over the apps', and the apps stand without them."""

import re
from copy import deepcopy
from functools import partial

import pytest
from django.contrib.staticfiles import finders
from django.core import mail
from django.template.loader import get_template
from django.test import Client

from accounts import mails
from tests.architecture.house import ROOT

OVERRIDES = sorted(
    path.relative_to(ROOT / "templates").as_posix()
    for path in (ROOT / "templates").rglob("*")
    if path.is_file() and path.parent.name != "templates"
)
APPS_OWN = [name for name in OVERRIDES if name != "mail/layout.txt"]


@pytest.fixture
def without_overrides(settings):
    """The apps as another host finds them."""
    engines = deepcopy(settings.TEMPLATES)
    engines[0]["DIRS"] = []
    settings.TEMPLATES = engines


def post(client, **headers):
    form = {"username": "nobody@example.org", "password": "wrong-one"}
    return client.post("/admin/login/", form, headers=headers)


@pytest.mark.parametrize("name", APPS_OWN)
def test_an_override_wins(name):
    assert get_template(name).origin.name == str(ROOT / "templates" / name)


@pytest.mark.parametrize("name", APPS_OWN)
def test_an_override_has_something_to_override(name, without_overrides):
    assert "/templates/" in get_template(name).origin.name
    assert get_template(name).origin.name != str(ROOT / "templates" / name)


@pytest.mark.parametrize(
    ("status", "visit"),
    [
        (400, lambda client: client.get("/admin/login/", headers={"host": "forged.example"})),
        (404, lambda client: client.get("/there-is-nothing")),
        (403, lambda client: Client(enforce_csrf_checks=True).post("/admin/login/")),
    ],
)
def test_an_error_page_loads_files_of_this_site_only(db, client, status, visit):
    response = visit(client)
    page = response.content.decode()
    assert response.status_code == status
    files = re.findall(r'(?:src|href)="([^"]+\.[a-z]+)"', page)
    assert len(files) >= 5
    assert [f for f in files if not finders.find(f.removeprefix("/static/"))] == []
    assert not re.search(r"<script|<style|style=|\son\w+=|https?://", page)
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy
    assert response["X-Request-ID"] in page


def test_an_error_of_ours_is_answered_by_the_same_page(db, client, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    client.raise_request_exception = False
    monkeypatch.setattr("django.contrib.auth.forms.AuthenticationForm.is_valid", broken)
    response = post(client)
    assert response.status_code == 500
    assert b"admin/css/login.css" in response.content
    assert b"ZeroDivisionError" not in response.content


def test_a_refusal_of_the_limiter_looks_like_the_other_errors(db, client, settings):
    settings.RATE_LIMITING_FACTOR = 1
    settings.RATE_LIMITS = {"auth": ["1/15m address"]}
    post(client)
    response = post(client, accept="text/html")
    assert response.status_code == 429
    assert b"admin/css/login.css" in response.content
    assert response["X-Request-ID"].encode() in response.content


def test_an_app_s_own_error_page_needs_nothing_of_the_project(db, client, without_overrides):
    response = client.get("/there-is-nothing")
    assert response.status_code == 404
    assert b"There is nothing here" in response.content
    assert b"admin/css" not in response.content


@pytest.fixture
def commit(db, django_capture_on_commit_callbacks):
    return partial(django_capture_on_commit_callbacks, execute=True)


def test_mails_are_laid_out_by_the_project(commit):
    with commit():
        mails.queue("email_notice", address="ada@example.org", after="c@d.org")
    (sent,) = mail.outbox
    assert "\n    c@d.org\n" in sent.body
    assert "nobody reads answers" in sent.body
    assert sent.body.startswith("Staff of Django Garrison changed")


def test_mails_of_an_app_stand_without_the_project(without_overrides, settings, commit):
    settings.SITE_NAME = "Bread & Butter's"
    with commit():
        mails.queue("email_notice", address="ada@example.org", after="c@d.org")
    (sent,) = mail.outbox
    assert sent.body.startswith("Staff of Bread & Butter's changed")
    assert "nobody reads answers" not in sent.body


def test_the_admin_carries_the_project_s_brand_and_the_app_none(db, client):
    page = client.get("/admin/login/").content.decode()
    assert "<span>Django Garrison</span>" in page
    assert "security_monitoring/garrison.css" in page


def test_the_dashboard_s_style_stands_without_the_project(db, client, without_overrides):
    page = client.get("/admin/login/").content.decode()
    assert "sd-mark" not in page
    assert "security_monitoring/garrison.css" in page
    assert "color-theme" in page or "theme-toggle" in page
