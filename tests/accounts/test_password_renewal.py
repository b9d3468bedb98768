"""An expired or breached password leads to a new one at every door, and to no dead end."""

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.contrib.auth import authenticate, get_user_model
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import LockoutBucket, PendingSignIn, UsedPassword
from accounts.password.breaches import service
from accounts.services import sign_in
from audit.models import SecurityEvent
from sessions_tracking.models import Session
from tests.accounts.breach_server import PADDING, hangs, says, serving
from tests.accounts.conftest import PASSWORD, post
from tests.accounts.half_done import ACCOUNT, COLOUR, go_on, submit, taken
from tests.accounts.threads import all_at_once

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "walnut ferry 82 cobalt heron"
STEP = "accounts.renewal.PasswordStillGood"


@pytest.fixture(autouse=True)
def _apart(settings, tmp_path, monkeypatch, no_rate_limits):
    settings.ACCOUNTS_BREACH_CORPUS = str(tmp_path / "breaches.txt")
    settings.ACCOUNTS_BREACH_SERVICE_URL = ""
    monkeypatch.setattr(service, "breaker", service.Breaker())


def login(client, password=PASSWORD):
    return post(client, "login", email="ada@example.org", password=password).json()


def renew(client, token, new=NEW):
    return go_on(client, token, code=new, method="new_password")


def age(user, **ago):
    """Let the password have been set so long ago; it is dated by a first sign-in."""
    sign_in(login_name=user.get_username(), password=PASSWORD)
    UsedPassword.objects.filter(user=user).update(set_at=timezone.now() - timedelta(**ago))


def breach(settings, password=PASSWORD):
    sha1 = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
    Path(settings.ACCOUNTS_BREACH_CORPUS).write_text(f"{sha1}:9\n")


def kinds():
    return list(SecurityEvent.objects.values_list("kind", flat=True))


@pytest.mark.parametrize("why", ["password_expired", "password_breached"])
def test_the_sign_in_asks_for_a_new_one_and_goes_on(client, ada, settings, why):
    age(ada, days=91 if why == "password_expired" else 1)
    if why == "password_breached":
        breach(settings)
    asked = login(client)
    assert (asked["mfa_required"], asked["methods"]) == (True, ["new_password"])
    assert asked["reason"] == why
    done = renew(client, asked["mfa_token"])
    assert done.status_code == 200
    assert done.json()["access"]
    assert Session.objects.alive(now=timezone.now()).count() == 1  # the others ended
    assert "access" in login(client, NEW)
    assert "access" not in login(client)
    assert "was changed" in mail.outbox[-1].subject
    assert "accounts.password.changed" in kinds()
    assert kinds().count("accounts.password.found_breached") == int(why == "password_breached")


def test_what_the_policy_refuses_is_told_counts_as_no_failure_and_may_be_mended(client, ada):
    age(ada, days=91)
    token = login(client)["mfa_token"]
    for bad, code in (("short", "length"), ("password1234", "common"), (PASSWORD, "reused")):
        answer = renew(client, token, bad)
        assert answer.status_code == 400
        assert code in [error["code"] for error in answer.json()["errors"]]
    assert taken() == 1
    assert "accounts.login.failed" not in kinds()
    assert renew(client, token).status_code == 200
    assert not LockoutBucket.objects.filter(key=ACCOUNT, taken__gt=0).exists()


def test_of_two_that_answer_at_once_one_sets_it(client, ada):
    age(ada, days=91)
    token = login(client)["mfa_token"]
    news = [f"{NEW} {word}" for word in ("amber", "birch", "cedar")]
    answers = all_at_once(lambda n: renew(client, token, news[n]).status_code, times=3)
    assert sorted(answers) == [200, 401, 401]
    ada.refresh_from_db()
    assert ada.check_password(news[answers.index(200)])


def test_a_second_factor_is_asked_before_it_and_what_was_found_is_not_forgotten(
    client, ada, settings
):
    age(ada, days=1)
    settings.ACCOUNTS_SIGN_IN_STEPS = [COLOUR, STEP]
    breach(settings)
    asked = login(client)
    assert asked["methods"] == ["colour"]
    assert renew(client, asked["mfa_token"]).status_code == 401
    then = go_on(client, asked["mfa_token"]).json()
    assert (then["methods"], then["reason"]) == (["new_password"], "password_breached")
    assert renew(client, then["mfa_token"]).status_code == 200


def test_neither_password_is_stored_with_a_sign_in_that_is_halted(client, ada):
    age(ada, days=91)
    login(client)
    row = PendingSignIn.objects.get()
    assert row.notes == {"must_change": "password_expired"}
    assert PASSWORD not in str(vars(row))


def test_the_admins_form_asks_for_it_and_says_why(admin_user):
    age(admin_user, days=91)
    browser = Client()
    page = submit(browser, username="root@example.org", password=PASSWORD)
    assert b"Your password has expired; choose a new one." in page.content
    assert b'autocomplete="new-password"' in page.content
    page = submit(browser, answer="password1234")
    assert b"a password that many people have" in page.content
    assert submit(browser, answer=NEW).status_code == 302
    assert browser.get("/admin/", secure=True).status_code == 200


def test_authenticate_lets_nobody_in_who_has_to_choose_one(ada):
    age(ada, days=91)
    assert authenticate(None, username=ada.email, password=PASSWORD) is None


def test_a_password_that_nobody_dated_counts_from_its_first_sign_in(client, ada):
    with time_machine.travel(timezone.now() + timedelta(days=400), tick=True):
        assert "access" in login(client)
    with time_machine.travel(timezone.now() + timedelta(days=491), tick=True):
        assert login(client)["reason"] == "password_expired"


def test_one_that_a_host_set_past_us_is_not_as_old_as_the_one_before(client, ada):
    age(ada, days=91)
    ada = get_user_model().objects.get()
    ada.set_password(NEW)
    ada.save()
    assert "access" in login(client, NEW)


def test_first_sign_ins_at_once_date_it_once(ada):
    all_at_once(lambda _: sign_in(login_name=ada.email, password=PASSWORD), times=4)
    assert UsedPassword.objects.count() == 1


def test_age_can_be_switched_off(client, ada, settings):
    age(ada, days=4_000)
    settings.ACCOUNTS_PASSWORD_MAX_AGE_DAYS = None
    assert "access" in login(client)


@pytest.mark.parametrize(("days", "is_told"), [(70, False), (80, True)])
def test_before_it_expires_the_owner_is_told(client, admin_user, days, is_told):
    age(admin_user, days=days)
    told = post(client, "login", email="root@example.org", password=PASSWORD).json()
    assert ("password_expires_at" in told) is is_told
    browser = Client()
    assert submit(browser, username="root@example.org", password=PASSWORD).status_code == 302
    page = browser.get("/admin/", secure=True)
    assert (b"Your password expires on" in page.content) is is_told


def test_a_sign_in_pays_one_statement(client, ada, settings):
    login(client)
    counts = []
    for steps in ([], [STEP]):
        settings.ACCOUNTS_SIGN_IN_STEPS = steps
        with CaptureQueriesContext(connection) as captured:
            assert "access" in login(client)
        counts.append(len(captured))
    assert counts[1] - counts[0] == 1


def test_the_service_is_asked_once_a_month_and_again_where_it_was_silent(client, ada, settings):
    with serving(hangs) as server:
        settings.ACCOUNTS_BREACH_SERVICE_URL = server.url
        assert "access" in login(client)  # silent: nobody is held up
        server.behave = says(PADDING)
        for _ in range(3):
            assert "access" in login(client)
        assert len(server.asked) == 2
        UsedPassword.objects.update(breaches_checked_at=timezone.now() - timedelta(days=31))
        sha1 = hashlib.sha1(PASSWORD.encode(), usedforsecurity=False).hexdigest().upper()
        server.behave = says(f"{sha1[5:]}:4\r\n".encode())
        assert login(client)["reason"] == "password_breached"
