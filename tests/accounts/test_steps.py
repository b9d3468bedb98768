"""Signing in as steps: a host's step through every door, and what a half-done sign-in is worth."""

import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth import authenticate
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import codes, lockout
from accounts.admin.changes import Snapshot, emit_changes
from accounts.backends import refusal_of
from accounts.errors import InvalidCredentials, SignInExpired, StepRequired
from accounts.forms import PasswordByStaffForm
from accounts.models import LockoutBucket, PendingSignIn
from accounts.models.mailed_code import Purpose
from accounts.services import (
    check_credentials,
    continue_sign_in,
    reset_password,
    set_active,
    set_own_password,
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

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[2]
NEW = "lantern gravel 82 otter"
COLOUR = "tests.accounts.colour.FavouriteColour"
NUMBER = "tests.accounts.colour.FavouriteNumber"
BROKEN = "tests.accounts.colour.Broken"
VERIFIED = "accounts.steps.VerifiedAddress"
ACCOUNT = lockout.account_key("ada@example.org")
ADDRESS = lockout.address_key("127.0.0.1")
LOGIN = reverse("admin:login")


@pytest.fixture(autouse=True)
def _asks_for_a_colour(settings, no_rate_limits):
    settings.ACCOUNTS_SIGN_IN_STEPS = [VERIFIED, COLOUR]


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


# --- The API --------------------------------------------------------------------------------------


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


def is_locked():
    return LockoutBucket.objects.get(key=ACCOUNT).is_locked(now=timezone.now())


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
    assert post(client, "login", email="ada@example.org", password=PASSWORD).status_code == 429


@pytest.mark.parametrize(
    "moved", [{"HTTP_USER_AGENT": "another browser"}, {"REMOTE_ADDR": "203.0.113.9"}]
)
def test_it_is_bound_to_device_and_network(client, ada, moved):
    token = begin(client)["mfa_token"]
    elsewhere = APIClient(**moved)
    assert go_on(elsewhere, token).json()["code"] == "mfa_token_invalid"
    assert reasons() == ["moved"]
    assert go_on(client, token).status_code == 200  # a thief does not end it for its owner


def test_an_ipv6_network_is_its_64(ada):
    token = begin(APIClient(REMOTE_ADDR="2001:db8::1"))["mfa_token"]
    assert go_on(APIClient(REMOTE_ADDR="2001:db8::2"), token).status_code == 200


def test_a_changed_password_voids_it(client, ada):
    token = begin(client)["mfa_token"]
    ada.set_password("walnut ferry 82 cobalt heron")
    ada.save()
    assert go_on(client, token).json()["code"] == "mfa_token_invalid"
    assert reasons() == ["changed"]


def test_an_account_that_was_deactivated_or_deleted_does_not_go_on(client, ada):
    tokens = [begin(client)["mfa_token"] for _ in range(2)]
    set_active(user=ada, is_active=False)
    assert go_on(client, tokens[0]).status_code == 401
    ada.delete()
    assert go_on(client, tokens[1]).status_code == 401
    assert not PendingSignIn.objects.exists()


def reset(user):
    code = codes.issue(user_id=user.pk, purpose=Purpose.RESET_PASSWORD, now=timezone.now())
    reset_password(email=user.email, code=code, new_password=NEW)


def change(user):
    set_own_password(proved=user, new_password=NEW)


def set_by_staff(user):
    form = PasswordByStaffForm(user, {"password1": NEW, "password2": NEW, "set-password": "1"})
    assert form.is_valid(), form.errors
    form.save()


@pytest.mark.parametrize("new_password", [reset, change, set_by_staff])
def test_half_done_sign_ins_of_an_old_password_hold_no_place_after_a_new_one(
    client, ada, new_password
):
    for _ in range(4):
        begin(client)
    new_password(ada)
    answer = post(client, "login", email="ada@example.org", password=NEW)
    assert go_on(client, answer.json()["mfa_token"]).status_code == 200
    assert taken() == 0


def deactivate(user):
    set_active(user=user, is_active=False)


def deactivate_in_the_admin(user):
    before = Snapshot.of(user)
    user.is_active = False
    user.save()
    emit_changes(user=user, before=before, by=None)


@pytest.mark.parametrize("end", [deactivate, deactivate_in_the_admin])
def test_a_half_done_sign_in_does_not_outlive_a_deactivation_that_is_taken_back(client, ada, end):
    token = begin(client)["mfa_token"]
    end(ada)
    set_active(user=ada, is_active=True)
    assert go_on(client, token).json()["code"] == "mfa_token_invalid"
    assert not Session.objects.exists()


def test_its_token_is_no_other_and_no_other_is_its(client, ada):
    token = begin(client)["mfa_token"]
    bearer = APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert bearer.get("/api/auth/me").status_code == 401
    assert post(client, "refresh", refresh=token).status_code == 401
    pair = go_on(client, token).json()
    for other in (pair["access"], pair["refresh"], token, "x", "🔑", str(uuid.uuid4())):
        assert go_on(client, other[:64]).json()["code"] == "mfa_token_invalid"
    assert token not in str(PendingSignIn.objects.values())
    assert Session.objects.count() == 1


def test_a_method_that_was_not_named_is_a_wrong_answer_and_earns_no_further_tries(client, ada):
    token = begin(client)["mfa_token"]
    for _ in range(5):
        answer = go_on(client, token, method="totp")
        assert (answer.status_code, answer.json()["code"]) == (401, "code_invalid")
    assert go_on(client, token).json()["code"] == "mfa_token_invalid"
    assert PendingSignIn.objects.count() == 1


def test_two_steps_are_asked_one_after_the_other_in_the_minutes_of_the_first(
    client, ada, settings, time_machine
):
    settings.ACCOUNTS_SIGN_IN_STEPS = [VERIFIED, COLOUR, NUMBER]
    time_machine.move_to(timezone.now(), tick=False)
    first = begin(client)["mfa_token"]
    time_machine.shift(timedelta(minutes=4))
    second = go_on(client, first).json()
    assert second["methods"] == ["number", "word"]
    assert go_on(client, first).json()["code"] == "mfa_token_invalid"  # it went on already
    assert taken() == 1
    answer = go_on(client, second["mfa_token"], "seven", method="word")
    assert answer.status_code == 200
    assert Session.objects.get().amr == ["pwd", "kba", "otp"]
    assert taken() == 0
    late = go_on(client, begin(client)["mfa_token"]).json()["mfa_token"]
    time_machine.shift(timedelta(minutes=5))
    assert go_on(client, late, "7", method="number").status_code == 401


def test_answers_of_any_kind_are_no_crash(client, ada):
    token = begin(client)["mfa_token"]
    for code in ("\0", "x" * 1025, "", 7, None):
        assert go_on(client, token, code).status_code == 400
    assert go_on(client, "x" * 65).status_code == 400
    assert go_on(client, token, method="m" * 33).status_code == 400


# --- Rate limits ----------------------------------------------------------------------------------


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


# --- The admin's form, and Django's own door ------------------------------------------------------


def submit(browser, **fields):
    return browser.post(LOGIN, fields, secure=True)


def test_the_admins_form_asks_and_its_answer_signs_in(admin_user):
    browser = Client()
    key = lockout.account_key(admin_user.email)
    page = submit(browser, username=admin_user.email, password=PASSWORD)
    assert page.status_code == 200
    assert 'name="answer"' in page.content.decode()
    assert 'name="password"' not in page.content.decode()
    assert taken(key) == 1
    assert 'name="answer"' in browser.get(LOGIN, secure=True).content.decode()
    wrong = submit(browser, answer="red")
    assert "The answer is not right" in wrong.content.decode()
    assert "value=" not in wrong.context["form"]["answer"].as_widget()
    assert submit(browser, answer="green").status_code == 302
    assert Session.objects.get().amr == ["pwd", "kba"]
    (event,) = SecurityEvent.objects.of_kinds(["accounts.login.succeeded"])
    assert event.data == {"methods": ["pwd", "kba"], "kind": "cookie"}
    assert taken(key) == 0
    assert not PendingSignIn.objects.exists()
    assert browser.get(reverse("admin:index"), secure=True).status_code == 200


def test_the_admins_form_asks_two_steps_and_lets_choose_the_method(admin_user, settings):
    settings.ACCOUNTS_SIGN_IN_STEPS = [NUMBER, COLOUR]
    browser = Client()
    page = submit(browser, username=admin_user.email, password=PASSWORD)
    assert "<option" in page.content.decode()
    page = submit(browser, method="word", answer="seven")
    assert page.context["form"].methods == ["colour"]
    assert submit(browser, answer="green").status_code == 302
    assert Session.objects.get().amr == ["pwd", "otp", "kba"]


def test_a_method_that_the_form_does_not_offer_spends_nothing(admin_user):
    """The same question again: the answer beside it was right, and may be needed."""
    browser = Client()
    submit(browser, username=admin_user.email, password=PASSWORD)
    page = submit(browser, method="nonsense", answer="green")
    assert page.context["form"].methods == ["colour"]
    assert "not one of the available choices" in page.content.decode()
    assert submit(browser, answer="green").status_code == 302


def test_a_session_that_a_stranger_has_planted_does_not_share_the_half_done_sign_in(admin_user):
    browser, stranger = Client(), Client()
    session = browser.session
    session.save()
    stranger.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    submit(browser, username=admin_user.email, password=PASSWORD)
    assert 'name="password"' in stranger.get(LOGIN, secure=True).content.decode()
    assert submit(browser, answer="green").status_code == 302


def test_to_be_asked_is_no_error_and_to_be_wrong_is_one(admin_user):
    browser = Client()
    asked = submit(browser, username=admin_user.email, password=PASSWORD).content.decode()
    wrong = submit(browser, answer="red").content.decode()
    assert ("step-notice" in asked, "errornote" in asked) == (True, False)
    assert ("step-notice" in wrong, "errornote" in wrong) == (False, True)
    assert "accounts/sign_in.css" in asked


def test_another_browser_cannot_go_on_and_one_can_start_again(admin_user):
    browser = Client()
    submit(browser, username=admin_user.email, password=PASSWORD)
    assert "This field is required" in submit(Client(), answer="green").content.decode()
    page = submit(browser, start_again="1")
    assert 'name="password"' in page.content.decode()
    assert "errornote" not in page.content.decode()
    assert 'name="password"' in browser.get(LOGIN, secure=True).content.decode()


def test_a_half_done_sign_in_that_is_over_leads_back_to_the_password(admin_user):
    browser = Client()
    submit(browser, username=admin_user.email, password=PASSWORD)
    PendingSignIn.objects.all().delete()
    page = submit(browser, answer="green")
    assert "begin again" in page.content.decode()
    assert 'name="password"' in page.content.decode()


@pytest.mark.parametrize("steps", [[VERIFIED], [VERIFIED, COLOUR]])
def test_the_right_password_of_somebody_who_is_no_staff_clears_nothing_and_is_an_event(
    ada, settings, steps
):
    settings.ACCOUNTS_SIGN_IN_STEPS = steps
    browser = Client()
    submit(browser, username=ada.email, password=WRONG)
    wrong = submit(browser, username=ada.email, password=WRONG).content.decode()
    page = submit(browser, username=ada.email, password=PASSWORD)
    if COLOUR in steps:
        page = submit(browser, answer="green")
    assert page.status_code == 200
    assert page.context["form"].non_field_errors()[0] in wrong  # the one sentence
    assert reasons() == ["wrong_password", "wrong_password", "refused"]
    assert taken() == 3
    assert "_auth_user_id" not in browser.session


def test_the_door_of_django_refuses_what_it_cannot_ask(ada, rf):
    request = rf.post("/")
    assert authenticate(request, username="ada@example.org", password=PASSWORD) is None
    refusal = refusal_of(request)
    assert isinstance(refusal, StepRequired)
    assert taken() == 1
    done = continue_sign_in(token=refusal.token, method="colour", answer="green")
    assert done.session.user == ada
    assert taken() == 0


def test_host_code_has_the_same_steps(ada):
    with pytest.raises(StepRequired) as required:
        sign_in(login_name="ada@example.org", password=PASSWORD)
    with pytest.raises(StepRequired):
        check_credentials(login_name="ada@example.org", password=PASSWORD)
    assert "token" not in repr(required.value)
    assert continue_sign_in(token=required.value.token, method="colour", answer="green").access


# --- Refusals and errors --------------------------------------------------------------------------


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
