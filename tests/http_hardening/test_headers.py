"""What every answer says to a browser."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

from garrison import checks as garrison_checks
from http_hardening import conf
from http_hardening.headers import NOTHING_LOADS, permissions_policy

pytestmark = pytest.mark.urls("tests.http_hardening.urls")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/page", "/api/echo", "/api/none", "/none", "/session", "/%00"])
def test_every_answer_carries_the_headers(client, path):
    answer = client.get(path)
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in answer["Permissions-Policy"]
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert answer["Server"] == ""
    assert "X-Powered-By" not in answer


def test_an_answer_to_an_error_of_ours_carries_them_too(calm_client):
    for path in ("/fails", "/api/fails"):
        answer = calm_client.get(path)
        assert answer.status_code == 500
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer["Content-Security-Policy"]


def test_async_answers_carry_them():
    answer = async_to_sync(AsyncClient().get)("/page")
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    answer = async_to_sync(AsyncClient().get)("/api/none?x=%00")
    assert answer.json()["code"] == "nul_character"


@pytest.mark.django_db
def test_what_is_no_page_may_load_nothing(client):
    assert client.get("/api/echo")["Content-Security-Policy"] == NOTHING_LOADS
    assert client.get("/session")["Content-Security-Policy"] == NOTHING_LOADS


def test_what_a_view_says_itself_stands(client):
    answer = client.get("/framed")
    assert answer["Content-Security-Policy"] == "sandbox"
    assert "X-Frame-Options" not in answer
    assert "public" in client.get("/api/public")["Cache-Control"]


def test_a_304_does_not_change_the_policy_of_a_kept_page(client):
    answer = client.get("/unchanged")
    assert answer.status_code == 304
    assert "Content-Security-Policy" not in answer


def test_the_software_is_not_told(client):
    answer = client.get("/telltale")
    assert "secret" not in str(answer.headers)


@pytest.mark.parametrize(
    ("path", "extra", "kept"),
    [
        ("/api/echo", {}, "no-store"),
        ("/session", {}, "no-store"),
        ("/page?nonce=1", {}, "no-store"),
        ("/page", {"headers": {"Authorization": "Bearer x"}}, "no-store"),
        ("/page", {}, None),
    ],
)
@pytest.mark.django_db
def test_what_may_be_one_person_s_is_kept_by_no_cache(client, path, extra, kept):
    assert client.get(path, **extra).get("Cache-Control") == kept


@pytest.mark.parametrize(
    ("extra", "is_told"),
    [
        ({}, False),
        ({"secure": True}, True),
        ({"headers": {"X-Forwarded-Proto": "https"}}, False),
        ({"headers": {"X-Forwarded-Proto": "https"}, "REMOTE_ADDR": "10.0.0.7"}, True),
        ({"headers": {"X-Forwarded-Proto": "http"}, "REMOTE_ADDR": "10.0.0.7"}, False),
    ],
)
def test_hsts_is_told_over_tls_only_and_a_proxy_is_believed_if_trusted(
    client, settings, extra, is_told
):
    settings.GARRISON_TRUSTED_PROXIES = ["10.0.0.0/8"]
    answer = client.get("/page", **extra)
    assert ("Strict-Transport-Security" in answer) == is_told
    if is_told:
        assert answer["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


def test_hsts_follows_django_s_settings(client, settings):
    settings.SECURE_HSTS_PRELOAD = True
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = False
    settings.GARRISON_TRUSTED_PROXIES = ["10.0.0.0/8"]
    extra = {"headers": {"X-Forwarded-Proto": "https"}, "REMOTE_ADDR": "10.0.0.7"}
    assert client.get("/page", **extra)["Strict-Transport-Security"] == (
        "max-age=31536000; preload"
    )
    settings.SECURE_HSTS_SECONDS = 0
    # Django's own middleware reads the setting once, so another client stands for another start.
    assert "Strict-Transport-Security" not in type(client)().get("/page", **extra)


def test_a_permissions_policy_is_written_as_browsers_read_it():
    policy = {
        "camera": [],
        "fullscreen": ["self"],
        "usb": ["self", "https://a.example"],
        "x": ["*"],
    }
    assert permissions_policy(policy) == (
        'camera=(), fullscreen=(self), usb=(self "https://a.example"), x=*'
    )


def test_the_default_grants_nothing():
    written = permissions_policy(conf.NOTHING_GRANTED)
    assert written.count("=()") == len(conf.NOTHING_GRANTED) >= 20


@pytest.mark.parametrize(
    "policy", [{"Camera": []}, {"camera": ["http://a.example"]}, {"camera": ['"'], "a;b": []},
               {"camera": ["https://a.example\r\nX: y"]}]
)  # fmt: skip
def test_a_policy_that_browsers_cannot_read_is_an_error(settings, policy):
    settings.HTTP_HARDENING_PERMISSIONS_POLICY = policy
    found = [m for m in garrison_checks.check_settings(None) if "PERMISSIONS" in m.msg]
    assert [m.id for m in found] == [garrison_checks.E002]


def test_settings_that_change_are_followed(client, settings):
    settings.HTTP_HARDENING_CROSS_ORIGIN_RESOURCE_POLICY = "cross-origin"
    assert client.get("/page")["Cross-Origin-Resource-Policy"] == "cross-origin"
