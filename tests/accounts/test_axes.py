"""django-axes records the failures, locks at five, and stores nothing that was posted."""

import pytest
from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.signals import user_logged_in
from django.core.management import call_command
from django.utils import timezone

from accounts import axes_records, lockout
from accounts.attempt import Attempt
from accounts.models import LockoutBucket
from accounts.services.administration import forget_lockout
from audit.models import SecurityEvent
from garrison import context
from garrison.context import RequestContext
from tests.accounts.conftest import PASSWORD, WRONG, post

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_rate_limits")]


class OtherBackend(ModelBackend):
    """A host's own way of signing in, which knows nothing of this app."""

    def authenticate(self, request, pin=None, username=None, **_):
        if pin != "4711":
            return None
        return get_user_model().objects.get_by_natural_key(username)


OTHER = f"{__name__}.OtherBackend"


def is_locked(rf, name):
    return AxesProxyHandler.is_locked(rf.post("/"), {"username": name})


def fail(client, name="ada@example.org", **more):
    return post(client, "login", email=name, password=WRONG, **more)


def test_five_failures_are_one_record_and_a_lock(client, ada, rf):
    for number in range(1, 6):
        assert not is_locked(rf, "ada@example.org")
        fail(client)
        attempt = AccessAttempt.objects.get()
        assert attempt.failures_since_start == number
    assert attempt.username == "ada@example.org"
    assert attempt.ip_address == "127.0.0.1"
    assert is_locked(rf, "ada@example.org")
    assert is_locked(rf, "ADA@example.org")
    assert not AxesProxyHandler.is_allowed(rf.post("/"), {"username": "ada@example.org"})
    credentials = {"username": "ada@example.org"}
    assert AxesProxyHandler.get_failures(rf.post("/"), credentials) == 5


def test_trying_on_while_locked_is_not_recorded_again(client, ada):
    for _ in range(9):
        fail(client)
    assert AccessAttempt.objects.get().failures_since_start == 5


def test_another_browser_or_spelling_makes_no_other_record(client, ada):
    for number in range(4):
        client.credentials(HTTP_USER_AGENT=f"agent {number}")
        fail(client, name="ADA@example.org" if number % 2 else "ada@example.org")
    assert AccessAttempt.objects.get().failures_since_start == 4


def test_nothing_posted_is_stored(client, ada):
    fail(client)
    attempt = AccessAttempt.objects.get()
    assert (attempt.get_data, attempt.post_data, attempt.user_agent) == ("", "", "")


def test_a_name_of_nobody_is_recorded_by_its_fingerprint(client, ada):
    fail(client, name="my-password-in-the-wrong-field")
    assert AccessAttempt.objects.get().username.startswith("unknown:")


def test_a_name_of_300_characters_and_nul_are_no_crash(client, ada):
    for name in ("x" * 254, "a\0b"):
        assert fail(client, name=name).status_code in {400, 401}


def test_failures_long_ago_are_not_added_to(ada):
    now = timezone.now()
    common = {"login_name": "ada@example.org", "account": ada, "ip": "203.0.113.9"}
    axes_records.record_failure(**common, now=now - timezone.timedelta(minutes=16))
    axes_records.record_failure(**common, now=now - timezone.timedelta(minutes=16))
    axes_records.record_failure(**common, now=now)
    assert AccessAttempt.objects.get().failures_since_start == 1


def test_somebody_without_an_address_has_one_record_too(ada):
    for _ in range(3):
        axes_records.record_failure(
            login_name="ada@example.org", account=ada, ip=None, now=timezone.now()
        )
    assert AccessAttempt.objects.get().failures_since_start == 3


def test_a_success_for_tokens_forgets_the_records(client, ada):
    """axes' own reset hears of sign-ins by session only."""
    fail(client), fail(client)
    assert post(client, "login", email="ada@example.org", password=PASSWORD).status_code == 200
    assert not AccessAttempt.objects.exists()


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("axes_reset", []),
        ("axes_reset_username", ["ada@example.org"]),
        ("axes_reset_ip", ["127.0.0.1"]),
    ],
)
def test_axes_own_commands_unlock_and_are_events(client, ada, command, arguments, settings):
    settings.ACCOUNTS_LOCKOUT_ADDRESS_FAILURES = 5
    for _ in range(5):
        fail(client)
    call_command(command, *arguments)
    assert not AccessAttempt.objects.exists()
    assert SecurityEvent.objects.of_kinds(["accounts.account.unlocked"]).count() == 1
    keys = set(LockoutBucket.objects.values_list("key", flat=True))
    assert (
        keys
        == {
            "axes_reset": set(),
            "axes_reset_username": {"address:127.0.0.1", "site"},
            "axes_reset_ip": {lockout.account_key("ada@example.org"), "site"},
        }[command]
    )


# --- Beside another authentication backend --------------------------------------------------------


def other_door(rf, pin="0000"):
    with context.bound(RequestContext(request_id="r", ip="127.0.0.1")):
        return authenticate(rf.post("/"), username="ada@example.org", pin=pin)


def test_the_failures_of_another_backend_count_in_the_same_bucket(ada, rf, client, settings):
    settings.AUTHENTICATION_BACKENDS = [OTHER]
    for _ in range(5):
        assert other_door(rf) is None
    assert is_locked(rf, "ada@example.org")
    assert AccessAttempt.objects.get().failures_since_start == 5
    assert post(client, "login", email="ada@example.org", password=PASSWORD).status_code == 429
    reasons = [
        event.data["reason"] for event in SecurityEvent.objects.of_kinds(["accounts.login.failed"])
    ]
    assert sorted(reasons) == ["locked", *["other_backend"] * 5]
    assert other_door(rf) is None  # locked: said, and not counted again
    assert AccessAttempt.objects.get().failures_since_start == 5


def test_a_success_of_another_backend_forgets_them(ada, rf, settings):
    settings.AUTHENTICATION_BACKENDS = [OTHER]
    other_door(rf)
    user = other_door(rf, pin="4711")
    user_logged_in.send(sender=type(user), request=rf.post("/"), user=user)
    assert not AccessAttempt.objects.exists()
    assert not LockoutBucket.objects.accounts().exists()


def test_a_failure_of_our_own_backend_counts_once(ada, rf):
    with context.bound(RequestContext(request_id="r", ip="127.0.0.1")):
        authenticate(rf.post("/"), username="ada@example.org", password=WRONG)
    assert AccessAttempt.objects.get().failures_since_start == 1
    assert LockoutBucket.objects.get(key=lockout.account_key("ada@example.org")).taken == 1


def test_without_axes_everything_works_but_the_records(client, ada, monkeypatch):
    monkeypatch.setattr(axes_records, "is_installed", lambda: False)
    for _ in range(5):
        assert fail(client).status_code == 401
    assert fail(client).status_code == 429
    assert not AccessAttempt.objects.exists()
    assert axes_records.forget(account=ada) == 0
    assert axes_records.older_than(timezone.now()) is None


def test_an_attempt_does_not_show_what_was_typed():
    assert "secret" not in repr(Attempt.of("secret", now=timezone.now()))


@pytest.mark.parametrize("nobody", [{"login_name": "", "ip": None}, {"login_name": None, "ip": ""}])
def test_an_empty_name_or_address_is_not_everybody(client, ada, nobody):
    fail(client)
    before = LockoutBucket.objects.count()
    forget_lockout(**nobody)
    assert LockoutBucket.objects.count() == before > 0
