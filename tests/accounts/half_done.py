"""A half-done sign-in in tests: how it is begun, answered and counted."""

from django.urls import reverse
from django.utils import timezone

from accounts import lockout
from accounts.models import LockoutBucket
from audit.models import SecurityEvent
from tests.accounts.conftest import PASSWORD, post

COLOUR = "tests.accounts.colour.FavouriteColour"
NUMBER = "tests.accounts.colour.FavouriteNumber"
BROKEN = "tests.accounts.colour.Broken"
VERIFIED = "accounts.steps.VerifiedAddress"
ACCOUNT = lockout.account_key("ada@example.org")
ADDRESS = lockout.address_key("127.0.0.1")
LOGIN = reverse("admin:login")


def begin(client, **more):
    answer = post(client, "login", email="ada@example.org", password=PASSWORD, **more)
    assert answer.status_code == 200, answer.content
    return answer.json()


def go_on(client, token, code="green", method="colour"):
    return post(client, "login/mfa", mfa_token=token, method=method, code=code)


def taken(key=ACCOUNT):
    return LockoutBucket.objects.get(key=key).taken


def reasons():
    rows = SecurityEvent.objects.of_kinds(["accounts.login.failed"]).order_by("pk")
    return [event.data["reason"] for event in rows]


def is_locked():
    return LockoutBucket.objects.get(key=ACCOUNT).is_locked(now=timezone.now())


def submit(browser, **fields):
    return browser.post(LOGIN, fields, secure=True)
