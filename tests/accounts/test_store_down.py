"""Valkey gone: a documented answer at once, and the lockout, which is in the database, holds."""

import time

import pytest
from django.core.cache import cache

from tests.accounts.conftest import PASSWORD, WRONG, post

pytestmark = pytest.mark.django_db


@pytest.fixture
def valkey_gone(settings, ada):
    """Point the store to a port where nobody listens."""
    settings.CACHES = {
        "default": settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"},
    }
    yield
    cache.close()


def test_a_login_is_refused_within_a_second_and_told_to_come_back(client, valkey_gone):
    started = time.monotonic()
    response = post(client, "login", email="ada@example.org", password=PASSWORD)
    assert time.monotonic() - started < 1
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert int(response.headers["Retry-After"]) > 0


def test_where_the_host_lets_logins_pass_the_lockout_holds(client, valkey_gone, settings):
    settings.RATE_LIMITING_ON_STORE_FAILURE = {"auth": "allow"}
    wrong = [post(client, "login", email="ada@example.org", password=WRONG) for _ in range(7)]
    assert [response.status_code for response in wrong] == [401] * 5 + [429] * 2
    assert wrong[-1].json()["code"] == "locked_out"
