"""What ``manage.py check`` finds."""

import pytest
from django.apps import apps
from django.test import override_settings

from garrison.checks import check_settings
from sessions_tracking import checks
from tests.sessions_tracking.scenery import NEW, OLD, ed25519_pem


def ids(messages):
    return [message.id for message in messages]


@pytest.mark.parametrize(
    "entries", [[], ["k1:short"], ["x" * 40], [OLD, OLD], ["k1:" + "abc" * 20]]
)
def test_keys_that_cannot_sign_are_an_error_that_does_not_show_them(entries):
    with override_settings(SESSIONS_SIGNING_KEYS=entries):
        (message,) = checks.check_signing_keys(None)
    assert message.id == checks.E001
    assert OLD.partition(":")[2] not in str(message)
    assert "abcabc" not in str(message)
    assert message.hint


def test_good_keys_pass():
    with override_settings(SESSIONS_SIGNING_KEYS=[NEW, OLD, f"ed1:{ed25519_pem()}"]):
        assert checks.check_signing_keys(None) == []


def test_the_blacklist_of_simplejwt_is_not_wanted(monkeypatch):
    assert checks.check_blacklist_absent(None) == []
    unwanted = "rest_framework_simplejwt.token_blacklist"
    monkeypatch.setattr(apps, "is_installed", lambda name: name == unwanted)
    assert ids(checks.check_blacklist_absent(None)) == [checks.W003]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SESSIONS_ACCESS_SECONDS", 0),
        ("SESSIONS_REFRESH_DAYS", -1),
        ("SESSIONS_REFRESH_GRACE_SECONDS", -1),
        ("SESSIONS_KEEP_ENDED_DAYS", "90"),
        ("SESSIONS_MOST_PER_USER", True),
        ("SESSIONS_SIGNING_KEYS", "k1:a-secret-that-must-not-be-shown-0123456789"),
    ],
)
def test_a_setting_out_of_range_or_of_another_type_is_an_error(name, value):
    assert check_settings(None) == []
    with override_settings(**{name: value}):
        (message,) = check_settings(None)
    assert name in message.msg
    assert "must-not-be-shown" not in str(message)


@pytest.mark.parametrize(
    ("middleware", "found"),
    [
        ([checks.AUTHENTICATION, checks.MIDDLEWARE], []),
        ([checks.AUTHENTICATION], [checks.W004]),
        ([checks.MIDDLEWARE, checks.AUTHENTICATION], [checks.W004]),
        ([checks.MIDDLEWARE], [checks.W004]),
        ([], [checks.W004]),
    ],
)
def test_the_middleware_stands_after_djangos(middleware, found):
    with override_settings(MIDDLEWARE=middleware):
        assert ids(checks.check_middleware(None)) == found
