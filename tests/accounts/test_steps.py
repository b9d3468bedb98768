"""Signing in as steps: a host's step, and what counts before a sign-in is complete."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.errors import InvalidCredentials, SignInExpired, StepRequired
from accounts.models import LockoutBucket, PendingSignIn
from accounts.services import (
    continue_sign_in,
    sign_in,
)
from accounts.services import credentials as proving
from audit.models import SecurityEvent
from garrison import checks, context
from garrison.context import RequestContext
from garrison.errors import EventNotRecorded, Refusal
from sessions_tracking.models import Session
from tests.accounts import colour
from tests.accounts.conftest import PASSWORD, WRONG, post
from tests.accounts.half_done import (
    ACCOUNT,
    ADDRESS,
    BROKEN,
    COLOUR,
    VERIFIED,
    begin,
    go_on,
    is_locked,
    reasons,
    taken,
)

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("asks_for_a_colour")]


def test_a_hosts_step_halts_the_sign_in_and_its_answer_starts_the_session(client, ada):
    halted = begin(client)
    assert halted["mfa_required"] is True
    assert halted["methods"] == ["colour"]
    assert set(halted) == {"mfa_required", "mfa_token", "methods"}
    assert not Session.objects.exists()
    answer = go_on(client, halted["mfa_token"])
    assert answer.status_code == 200
    assert answer.json()["user"]["email"] == "ada@example.org"
    assert Session.objects.get().amr == ["pwd", "kba"]
    kinds = SecurityEvent.objects.filter(kind__startswith="accounts.").order_by("pk")
    assert [event.kind for event in kinds] == [
        "accounts.login.challenged",
        "accounts.login.succeeded",
    ]
    assert kinds[1].data == {"methods": ["pwd", "kba"], "kind": "token"}
    assert kinds[0].data == {"methods": ["colour"]}


def test_nothing_is_cleared_before_the_sign_in_is_complete(client, ada):
    for _ in range(3):
        post(client, "login", email="ada@example.org", password=WRONG)
    halted = begin(client)
    assert (taken(), taken(ADDRESS)) == (4, 4)
    assert go_on(client, halted["mfa_token"]).status_code == 200
    assert (taken(), taken(ADDRESS)) == (0, 3)


def test_whoever_knows_the_password_and_abandons_the_step_is_counted_each_time(client, ada):
    halted = [begin(client)["mfa_token"] for _ in range(5)]
    refused = post(client, "login", email="ada@example.org", password=PASSWORD)
    assert (refused.status_code, refused.json()["code"]) == (429, "locked_out")
    assert go_on(client, halted[0]).status_code == 200  # and what was begun can be completed
    assert taken() == 4  # the other four still stand half-done
    assert taken(ADDRESS) == 4


def test_a_wrong_answer_counts_and_the_last_one_locks(client, ada):
    for _ in range(4):
        begin(client)
    token = begin(client)["mfa_token"]
    answer = go_on(client, token, "red")
    assert (answer.status_code, answer.json()["code"]) == (401, "code_invalid")
    bucket = LockoutBucket.objects.get(key=ACCOUNT)
    assert bucket.is_locked(now=timezone.now())
    assert bucket.user == ada
    assert reasons() == ["wrong_answer"]
    # The owner, who takes three minutes, is let in all the same, and the lock ends with it.
    assert go_on(client, token).status_code == 200
    assert not LockoutBucket.objects.get(key=ACCOUNT).is_locked(now=timezone.now())


def test_wrong_answers_count_as_wrong_passwords_do(client, ada):
    token = begin(client)["mfa_token"]
    for number in (2, 3, 4):
        go_on(client, token, "red")
        assert (taken(), is_locked()) == (number, False)
    go_on(client, token, "red")
    assert is_locked()
    assert taken(ADDRESS) == 5


def test_many_half_done_sign_ins_are_no_way_to_answer_often_without_a_lock(client, ada):
    halted = [begin(client)["mfa_token"] for _ in range(5)]
    go_on(client, halted[0], "red")  # not the one that took the last place
    assert is_locked()


def test_a_bucket_full_of_half_done_sign_ins_says_how_long_it_is_full(client, ada, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    for _ in range(5):
        begin(client)
    time_machine.shift(timedelta(seconds=100))
    answer = post(client, "login", email="ada@example.org", password=PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (429, "locked_out")
    assert answer["Retry-After"] == "800"


def test_a_wrong_answer_in_a_later_window_begins_it(client, ada, settings, time_machine):
    settings.ACCOUNTS_PENDING_SIGN_IN_SECONDS = 3600
    time_machine.move_to(timezone.now(), tick=False)
    halted = [begin(client)["mfa_token"] for _ in range(5)]
    time_machine.shift(timedelta(seconds=901))
    go_on(client, halted[4], "red")
    assert (taken(), is_locked()) == (1, False)


def test_a_half_done_sign_in_stands_five_answers(client, ada):
    token = begin(client)["mfa_token"]
    codes = [go_on(client, token, "red").json()["code"] for _ in range(5)]
    assert codes == ["code_invalid"] * 5
    assert go_on(client, token).json()["code"] == "mfa_token_invalid"
    assert reasons() == ["wrong_answer"] * 5 + ["expired"]
    assert not Session.objects.exists()


def test_it_lasts_five_minutes(client, ada, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    slow, late = begin(client)["mfa_token"], begin(client)["mfa_token"]
    time_machine.shift(timedelta(minutes=5) - timedelta(seconds=1))
    assert go_on(client, slow).status_code == 200
    time_machine.shift(timedelta(seconds=1))
    assert go_on(client, late).json()["code"] == "mfa_token_invalid"


def test_after_the_window_has_begun_anew_nobody_elses_failure_is_released(
    client, ada, settings, time_machine
):
    settings.ACCOUNTS_LOCKOUT_WINDOW_SECONDS = 60
    time_machine.move_to(timezone.now(), tick=False)
    token = begin(client)["mfa_token"]
    time_machine.shift(timedelta(seconds=61))
    post(client, "login", email="nobody@example.org", password=WRONG)
    assert taken(ADDRESS) == 1
    assert go_on(client, token).status_code == 200
    assert taken(ADDRESS) == 1


def test_completing_ends_no_lock_of_the_address(client, ada, settings):
    settings.ACCOUNTS_LOCKOUT_ADDRESS_FAILURES = 3
    token = begin(client)["mfa_token"]
    for number in range(2):
        post(client, "login", email=f"user{number}@example.org", password=WRONG)
    assert go_on(client, token).status_code == 200
    assert LockoutBucket.objects.get(key=ADDRESS).is_locked(now=timezone.now())
    stranger = APIClient()
    assert post(stranger, "login", email="ada@example.org", password=PASSWORD).status_code == 429


def test_a_half_way_answer_is_not_refunded_and_a_complete_one_is(client, ada, settings):
    settings.RATE_LIMITS = {"auth": ["3/15m account+address"], "api": []}
    token = begin(client)["mfa_token"]
    begin(client), begin(client)
    assert post(client, "login", email="ada@example.org", password=PASSWORD).status_code == 429
    assert go_on(client, token).status_code == 200
    settings.ACCOUNTS_SIGN_IN_STEPS = [VERIFIED]
    settings.RATE_LIMITS = {"auth": ["3/20m account+address"], "api": []}
    answers = [post(client, "login", email="ada@example.org", password=PASSWORD) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}


class Risky(Refusal):
    code, status, title = "too_risky", 403, "Not from there"


def test_a_step_that_refuses_counts_a_failure(client, ada, settings, monkeypatch):
    settings.ACCOUNTS_SIGN_IN_STEPS = [BROKEN]
    monkeypatch.setattr(colour.Broken, "failure", Risky())
    answer = post(client, "login", email="ada@example.org", password=PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (403, "too_risky")
    assert (taken(), reasons()) == (1, ["refused"])


@pytest.mark.parametrize("failure", [RuntimeError("x"), OperationalError("x"), EventNotRecorded()])
def test_an_error_after_the_password_costs_nobody_a_place(ada, settings, monkeypatch, failure):
    settings.ACCOUNTS_SIGN_IN_STEPS = [BROKEN]
    monkeypatch.setattr(colour.Broken, "failure", failure)
    for _ in range(6):
        with context.bound(RequestContext(ip="127.0.0.1")), pytest.raises(type(failure)):
            sign_in(login_name="ada@example.org", password=PASSWORD)
    assert (taken(), taken(ADDRESS), reasons()) == (0, 0, [])


def test_an_error_while_comparing_costs_nobody_a_place(ada, monkeypatch):
    def lost(*_):
        raise OperationalError

    monkeypatch.setattr(proving, "verify", lost)
    for _ in range(6):
        with pytest.raises(OperationalError):
            sign_in(login_name="ada@example.org", password=WRONG)
    assert (taken(), reasons()) == (0, [])


def test_an_error_at_the_end_of_a_half_done_one_leaves_it_to_go_on_with(ada, settings, monkeypatch):
    with pytest.raises(StepRequired) as required:
        sign_in(login_name="ada@example.org", password=PASSWORD)
    answer = {"token": required.value.token, "method": "colour", "answer": "green"}

    def lost(**_):
        raise EventNotRecorded

    with monkeypatch.context() as broken:
        broken.setattr("accounts.services.signing_in.start_token_session", lost)
        with pytest.raises(EventNotRecorded):
            continue_sign_in(**answer)
    assert taken() == 1
    assert continue_sign_in(**answer).session.user == ada
    assert taken() == 0
    with pytest.raises(SignInExpired):
        continue_sign_in(**answer)


def test_an_address_that_is_no_longer_verified_is_refused_at_the_end_too(client, ada):
    token = begin(client)["mfa_token"]
    type(ada).objects.update(email_verified_at=None)
    assert go_on(client, token).json()["code"] == "email_unverified"
    assert reasons() == ["unverified"]


def test_without_the_step_nobody_asks_whether_the_address_is_verified(client, ada, settings):
    settings.ACCOUNTS_SIGN_IN_STEPS = []
    type(ada).objects.update(email_verified_at=None)
    assert "access" in begin(client)


def test_a_wrong_password_is_never_asked_for_more(client, ada):
    answer = post(client, "login", email="ada@example.org", password=WRONG)
    assert answer.json()["code"] == "invalid_credentials"
    with pytest.raises(InvalidCredentials):
        sign_in(login_name="nobody@example.org", password=PASSWORD)
    assert not PendingSignIn.objects.exists()


@pytest.mark.parametrize("path", ["no.such.Step", "accounts.steps.sign_in_steps", "step"])
def test_a_step_that_is_none_is_refused_at_start(settings, path):
    settings.ACCOUNTS_SIGN_IN_STEPS = [VERIFIED, path]
    (found,) = checks.check_settings(None)
    assert (found.id, path in found.msg) == ("garrison.E002", True)
    settings.ACCOUNTS_SIGN_IN_STEPS = [VERIFIED, COLOUR]
    assert checks.check_settings(None) == []


def test_the_example_in_the_docs_is_the_one_that_is_tested():
    page = (ROOT / "docs" / "accounts.md").read_text()
    example = page.partition("<!-- tests/accounts/colour.py -->\n```python\n")[2]
    code = example.partition("```")[0]
    assert code.strip()
    assert code in Path(colour.__file__).read_text()
