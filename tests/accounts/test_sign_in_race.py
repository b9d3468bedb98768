"""What happens to an account between the check of its password and the session, on real threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth import get_user_model
from django.db import connections
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.password import verification
from accounts.services import credentials, set_active, sign_in
from audit.models import SecurityEvent
from sessions_tracking.models import Session
from tests.accounts.colour import FavouriteColour
from tests.accounts.conftest import PASSWORD, FastHasher, mailed_code, post
from tests.accounts.threads import all_at_once

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

NEW_PASSWORD = "walnut ferry 82 cobalt heron"


class OlderHasher(FastHasher):
    """Hashes as an earlier profile did, so that a sign-in renews what it made."""

    time_cost = 2


@pytest.fixture
def slow_check(monkeypatch):
    """Hold every comparison that has been made until it is let go."""
    compared, go_on = threading.Event(), threading.Event()

    def slow(check):
        def held(*args, **kwargs):
            verdict = check(*args, **kwargs)
            compared.set()
            assert go_on.wait(timeout=30)
            return verdict

        return held

    monkeypatch.setattr(credentials, "verify", slow(verification.verify))
    monkeypatch.setattr(FavouriteColour, "verify", slow(FavouriteColour.verify))
    return compared, go_on


def during_a_login(slow_check, change, path="login", **body):
    """Send a login, change something once its answer was found right, and return the response."""
    compared, go_on = slow_check
    body = body or {"email": "ada@example.org", "password": PASSWORD}

    def login():
        try:
            return post(APIClient(), path, **body)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(login)
        try:
            assert compared.wait(timeout=30)
            change()
        finally:
            go_on.set()
        return answer.result(timeout=30)


def reset():
    post(APIClient(), "password/reset", email="ada@example.org")
    body = {"email": "ada@example.org", "code": mailed_code(), "new_password": NEW_PASSWORD}
    answer = post(APIClient(), "password/reset/confirm", **body)
    assert answer.status_code == 204, answer.content


def deactivate():
    set_active(user=get_user_model().objects.get(), is_active=False)


def reasons():
    failed = SecurityEvent.objects.of_kinds(["accounts.login.failed"])
    return [event.data["reason"] for event in failed]


def test_a_login_with_the_old_password_does_not_outlive_a_reset(ada, slow_check):
    answer = during_a_login(slow_check, reset)
    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_credentials"
    assert not Session.objects.alive(now=timezone.now()).exists()
    assert reasons() == ["changed"]


def test_a_renewed_hash_does_not_bring_the_old_password_back(ada, slow_check, settings):
    settings.PASSWORD_HASHERS = [f"{__name__}.OlderHasher"]
    ada.set_password(PASSWORD)
    ada.save()
    settings.PASSWORD_HASHERS = [f"{FastHasher.__module__}.FastHasher"]
    assert during_a_login(slow_check, reset).status_code == 401
    stored = get_user_model().objects.get()
    assert stored.check_password(NEW_PASSWORD)
    assert not stored.check_password(PASSWORD)


def test_an_account_that_is_deactivated_meanwhile_gets_no_session(ada, slow_check):
    answer = during_a_login(slow_check, lambda: set_active(user=ada, is_active=False))
    assert answer.status_code == 401
    assert not Session.objects.exists()
    assert reasons() == ["changed"]


@pytest.mark.parametrize("change", [reset, deactivate])
def test_a_half_done_sign_in_does_not_outlive_what_happens_during_its_answer(
    ada, slow_check, settings, change
):
    settings.ACCOUNTS_SIGN_IN_STEPS = [f"{FavouriteColour.__module__}.FavouriteColour"]
    compared, go_on = slow_check
    go_on.set()
    halted = post(APIClient(), "login", email="ada@example.org", password=PASSWORD).json()
    compared.clear(), go_on.clear()
    body = {"mfa_token": halted["mfa_token"], "method": "colour", "code": "green"}
    answer = during_a_login(slow_check, change, "login/mfa", **body)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    assert not Session.objects.exists()
    assert reasons() == ["changed"]


def test_an_account_that_is_deleted_meanwhile_gets_no_session(ada, slow_check):
    assert during_a_login(slow_check, ada.delete).status_code == 401


def test_sign_ins_at_once_over_an_outdated_hash_all_succeed(ada, settings, no_rate_limits):
    settings.ACCOUNTS_LOCKOUT_FAILURES = 20
    settings.PASSWORD_HASHERS = [f"{__name__}.OlderHasher"]
    ada.set_password(PASSWORD)
    ada.save()
    settings.PASSWORD_HASHERS = [f"{FastHasher.__module__}.FastHasher"]
    signed_in = all_at_once(
        lambda _: sign_in(login_name="ada@example.org", password=PASSWORD), times=8
    )
    assert len({each.session.pk for each in signed_in}) == 8
    ada.refresh_from_db()
    assert "t=1" in ada.password
