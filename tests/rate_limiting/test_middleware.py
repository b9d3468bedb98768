"""The admin's sign-in, and what a browser is told."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

pytestmark = [pytest.mark.urls("tests.rate_limiting.urls"), pytest.mark.django_db]

EMAIL = "root@example.com"
PASSWORD = "correct horse battery staple 9"


@pytest.fixture(autouse=True)
def _site(settings, plain_static, clock):
    """Count as in production, and sign in by Django's own backend, which locks nothing."""
    settings.RATE_LIMITS = {"auth": ["5/15m", "50/15m address"]}
    settings.RATE_LIMITING_FACTOR = 1
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def sign_in(client, password="wrong", **extra):
    return client.post("/admin/login/", {"username": EMAIL, "password": password}, **extra)


def test_the_admin_s_sign_in_is_counted(client):
    answers = [sign_in(client) for _ in range(7)]
    assert [a.status_code for a in answers] == [200] * 5 + [429] * 2
    assert int(answers[6]["Retry-After"]) == 2 * int(answers[5]["Retry-After"])
    assert answers[0]["RateLimit"].startswith('"auth";r=4;')


@pytest.mark.parametrize(
    ("accepts", "form"),
    [
        ("*/*", "text/html"),
        ("text/html, application/json", "text/html"),
        ("application/json", "application/problem+json"),
        ("application/json, */*;q=0.5", "application/problem+json"),
        ("image/png", "application/problem+json"),
    ],
)
def test_a_page_goes_to_whoever_takes_anything_as_everywhere(client, accepts, form):
    for _ in range(5):
        sign_in(client)
    answer = sign_in(client, headers={"Accept": accepts})
    assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (429, form)


def test_a_browser_is_told_on_a_page(client):
    for _ in range(5):
        sign_in(client)
    answer = sign_in(client, headers={"Accept": "text/html,*/*;q=0.8"})
    page = answer.content.decode()
    assert answer.status_code == 429
    assert answer["Content-Type"].startswith("text/html")
    assert "Too many requests" in page
    assert answer["X-Request-ID"] in page
    assert "<style" not in page
    assert "<script" not in page


def test_opening_the_sign_in_page_is_not_counted(client):
    answers = [client.get("/admin/login/") for _ in range(20)]
    assert {a.status_code for a in answers} == {200}
    assert "RateLimit" not in answers[0]


def test_an_administrator_may_sign_in_often(client):
    get_user_model().objects.create_superuser(email=EMAIL, password=PASSWORD)
    for _ in range(8):
        assert sign_in(client, PASSWORD).status_code == 302
        client.logout()


def test_another_administrator_behind_the_same_address_still_signs_in(client):
    get_user_model().objects.create_superuser(email="other@example.com", password=PASSWORD)
    for _ in range(10):
        sign_in(client)
    answer = client.post("/admin/login/", {"username": "other@example.com", "password": PASSWORD})
    assert answer.status_code == 302


def test_a_view_that_the_host_excepts_is_not_counted(client, settings):
    settings.RATE_LIMITING_VIEWS = {"admin:login": None}
    assert {sign_in(client).status_code for _ in range(8)} == {200}


def test_a_view_named_by_the_host_is_counted(client, settings):
    settings.RATE_LIMITING_VIEWS = {"uncounted": "auth"}
    settings.RATE_LIMITS = {"auth": ["1/h address"]}
    codes = [client.post("/api/uncounted").status_code for _ in range(2)]
    assert codes == [405, 429]
