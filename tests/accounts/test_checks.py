"""Each check finds what it is for, says what to do, and is silent in this project."""

import pytest

from accounts import checks
from tests.accounts.conftest import FAST

OURS = "accounts.password.hashers.GarrisonArgon2PasswordHasher"


def ids(messages):
    assert all(message.hint for message in messages)
    return [message.id for message in messages]


def test_this_project_is_set_up_as_the_checks_want_it(real_hashing):
    for check in (
        checks.check_backend,
        checks.check_hashers,
        checks.check_axes,
        checks.check_user_model,
    ):
        assert check(None) == []


def test_that_nobody_knows_breached_passwords_is_told(settings, tmp_path):
    settings.ACCOUNTS_BREACH_CORPUS, settings.ACCOUNTS_BREACH_SERVICE_URL = "", ""
    assert ids(checks.check_breaches(None)) == ["accounts.I030"]
    settings.ACCOUNTS_BREACH_SERVICE_URL = "https://breaches.example.org/range/"
    assert checks.check_breaches(None) == []
    (tmp_path / "breaches.txt").touch()
    settings.ACCOUNTS_BREACH_CORPUS = str(tmp_path / "breaches.txt")
    settings.ACCOUNTS_BREACH_SERVICE_URL = ""
    assert checks.check_breaches(None) == []


def test_a_door_without_a_lockout_is_found(settings):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    assert ids(checks.check_backend(None)) == ["accounts.W001"]
    settings.AUTHENTICATION_BACKENDS = [
        "accounts.backends.AccountsBackend",
        "django.contrib.auth.backends.ModelBackend",
    ]
    assert ids(checks.check_backend(None)) == ["accounts.E005"]


@pytest.mark.parametrize(
    ("hashers", "found"),
    [
        ([FAST], ["accounts.W002"]),
        ([OURS, "django.contrib.auth.hashers.PBKDF2PasswordHasher"], ["accounts.W003"]),
    ],
)
def test_weak_and_needless_hashers_are_found(settings, hashers, found):
    settings.PASSWORD_HASHERS = hashers
    assert ids(checks.check_hashers(None)) == found


@pytest.mark.parametrize("handler", ["database.AxesDatabaseHandler", "dummy.AxesDummyHandler"])
def test_axes_with_a_handler_of_its_own_is_found(settings, handler):
    settings.AXES_HANDLER = f"axes.handlers.{handler}"
    assert ids(checks.check_axes(None)) == ["accounts.W004"]


def test_a_user_model_without_the_fields_is_described(monkeypatch):
    monkeypatch.setattr(checks, "missing_fields", lambda: ["name", "email_verified_at"])
    (message,) = checks.check_user_model(None)
    assert message.id == "accounts.I006"
    assert "name, email_verified_at" in message.msg
    assert not message.is_serious()


@pytest.mark.parametrize(
    ("mailers", "found"),
    [
        ({"default": {"BACKEND": checks.SMTP}}, {checks.W008}),
        ({"default": {"BACKEND": checks.SMTP, "OPTIONS": {"timeout": 10}}}, set()),
        ({"default": {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"}}, set()),
    ],
)
def test_a_mail_server_that_may_fall_silent_is_found(settings, mailers, found):
    settings.MAILERS = mailers
    assert {message.id for message in checks.check_mail_timeout(None)} == found
