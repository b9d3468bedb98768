"""Proving an address: six digits, ten minutes, five tries that are counted in the row."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import codes
from accounts.errors import CodeExpired, CodeInvalid
from accounts.mails import send_due
from accounts.models import MailedCode
from accounts.models.mailed_code import Purpose
from accounts.services import resend_code, verify_email
from audit.models import SecurityEvent
from garrison import background
from tests.accounts.conftest import PASSWORD, mailed_code, post
from tests.accounts.threads import all_at_once

NOW = timezone.now()


@pytest.fixture
def bob(db):
    """Somebody whose address is not verified yet."""
    return get_user_model().objects.create_user(email="bob@example.org", password=PASSWORD)


@pytest.fixture
def code(bob):
    return codes.issue(user_id=bob.pk, purpose=Purpose.VERIFY_EMAIL, now=NOW)


def another(code):
    """Return a code that is not this one."""
    return f"{(int(code) + 1) % 1_000_000:06}"


def verify(code, *, at=NOW, email="bob@example.org"):
    verify_email(email=email, code=code, now=at)


def test_the_right_code_verifies_once(bob, code):
    verify(code)
    bob.refresh_from_db()
    assert bob.email_verified_at == NOW
    (event,) = SecurityEvent.objects.of_kinds(["accounts.email.verified"])
    assert (event.actor_id, event.target) == (str(bob.pk), f"user:{bob.pk}")
    with pytest.raises(CodeInvalid):
        verify(code)


def test_a_code_is_good_for_ten_minutes_and_then_expired(bob, code):
    verify(code, at=NOW + timedelta(seconds=599))
    code = codes.issue(user_id=bob.pk, purpose=Purpose.VERIFY_EMAIL, now=NOW)
    with pytest.raises(CodeExpired):
        verify(code, at=NOW + timedelta(seconds=600))


def test_that_a_code_has_expired_is_told_to_whoever_has_the_right_one_only(bob, code):
    with pytest.raises(CodeInvalid):
        verify(another(code), at=NOW + timedelta(days=1))


def test_after_five_wrong_guesses_the_right_code_is_wrong_too(bob, code):
    for _ in range(5):
        with pytest.raises(CodeInvalid):
            verify(another(code))
    with pytest.raises(CodeInvalid):
        verify(code)
    bob.refresh_from_db()
    assert not bob.is_email_verified
    refused = SecurityEvent.objects.of_kinds(["accounts.code.refused"])
    assert refused.count() == 6
    assert {event.target for event in refused} == {f"user:{bob.pk}"}


def test_the_fifth_guess_may_be_the_right_one(bob, code):
    for _ in range(4):
        with pytest.raises(CodeInvalid):
            verify(another(code))
    verify(code)


def test_a_new_code_voids_the_old_one_and_begins_with_five_tries(bob, code):
    with pytest.raises(CodeInvalid):
        verify(another(code))
    new = codes.issue(user_id=bob.pk, purpose=Purpose.VERIFY_EMAIL, now=NOW)
    assert MailedCode.objects.get().tries == 0
    if new != code:
        with pytest.raises(CodeInvalid):
            verify(code)
    verify(new)


def test_a_new_code_has_ten_minutes_of_its_own(bob, code):
    later = NOW + timedelta(minutes=9)
    new = codes.issue(user_id=bob.pk, purpose=Purpose.VERIFY_EMAIL, now=later)
    verify(new, at=later + timedelta(minutes=9))


@pytest.mark.parametrize(
    "malformed",
    ["", "12345", "1234567", "12345a", "\u0661\u0662\u0663\u0664\u0665\u0666", "+12345"],
)
def test_what_is_not_six_ascii_digits_costs_no_try(bob, code, malformed):
    with pytest.raises(CodeInvalid):
        verify(malformed)
    assert MailedCode.objects.get().tries == 0


def test_a_code_of_somebody_else_does_not_verify(bob, code):
    eve = get_user_model().objects.create_user(email="eve@example.org", password=PASSWORD)
    codes.issue(user_id=eve.pk, purpose=Purpose.VERIFY_EMAIL, now=NOW)
    MailedCode.objects.filter(user=eve).update(digest=MailedCode.objects.get(user=bob).digest)
    with pytest.raises(CodeInvalid):  # the digest is bound to the person
        verify(code, email="eve@example.org")


def test_an_unknown_address_takes_the_same_statements_as_a_wrong_code(bob, code):
    counts = []
    for email in ("bob@example.org", "nobody@example.org"):
        with CaptureQueriesContext(connection) as captured, pytest.raises(CodeInvalid):
            verify(another(code), email=email)
        counts.append([query["sql"].split()[0] for query in captured if "mailed" in query["sql"]])
    assert counts[0] == counts[1] == ["UPDATE", "SELECT"]


def test_codes_are_random_and_keep_their_leading_zeros(bob, monkeypatch):
    drawn = iter("000042")
    monkeypatch.setattr(codes.secrets, "choice", lambda _: next(drawn))
    assert codes.issue(user_id=bob.pk, purpose=Purpose.VERIFY_EMAIL, now=NOW) == "000042"


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_of_fifty_guesses_at_once_five_are_compared(bob, code, monkeypatch):
    compared, lock = [], threading.Lock()
    original = codes.constant_time_compare

    def count(*args):
        with lock:
            compared.append(1)
        return original(*args)

    monkeypatch.setattr(codes, "constant_time_compare", count)

    def guess(_):
        with pytest.raises(CodeInvalid):
            verify(another(code))

    all_at_once(guess, times=50)
    assert len(compared) == 5
    assert MailedCode.objects.get().tries == 5


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_the_right_code_sent_by_four_at_once_is_used_once(bob, code):
    def use(_):
        try:
            verify(code)
        except CodeInvalid:
            return False
        return True

    assert sorted(all_at_once(use, times=4)) == [False, False, False, True]
    assert SecurityEvent.objects.of_kinds(["accounts.email.verified"]).count() == 1


def test_a_code_that_was_replaced_after_it_was_compared_is_not_used_up(bob, code):
    """Nor is the one that has replaced it."""
    row = codes.verify(user_id=bob.pk, purpose=Purpose.VERIFY_EMAIL, code=code, now=NOW)
    fresh = codes.issue(user_id=bob.pk, purpose=Purpose.VERIFY_EMAIL, now=NOW)
    with pytest.raises(CodeInvalid):
        codes.use_up(row)
    codes.verify(user_id=bob.pk, purpose=Purpose.VERIFY_EMAIL, code=fresh, now=NOW)


def test_a_code_is_bound_to_its_purpose_even_where_two_look_alike(bob, code, monkeypatch):
    """Not only to its row: whoever writes into the table turns no code into another."""
    monkeypatch.setitem(codes.FORMS, Purpose.RESET_PASSWORD, codes.FORMS[Purpose.VERIFY_EMAIL])
    MailedCode.objects.update(purpose=Purpose.RESET_PASSWORD)
    with pytest.raises(CodeInvalid):
        codes.verify(user_id=bob.pk, purpose=Purpose.RESET_PASSWORD, code=code, now=NOW)


def test_voiding_one_purpose_leaves_the_code_of_another(bob, code):
    codes.issue(user_id=bob.pk, purpose=Purpose.RESET_PASSWORD, now=NOW)
    codes.void(user_id=bob.pk, purposes=[Purpose.RESET_PASSWORD])
    assert MailedCode.objects.get().purpose == Purpose.VERIFY_EMAIL


# --- Asking again ---------------------------------------------------------------------------------


def test_a_resent_code_verifies(bob, code, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        resend_code(email="BOB@example.org")
    verify(mailed_code(), at=timezone.now())


@pytest.mark.parametrize("case", ["unknown", "verified", "inactive"])
def test_where_no_code_is_waited_for_none_is_sent(
    bob, case, django_capture_on_commit_callbacks, client
):
    email = "nobody@example.org" if case == "unknown" else "bob@example.org"
    if case == "verified":
        bob.email_verified_at = NOW
    bob.is_active = case != "inactive"
    bob.save()
    with django_capture_on_commit_callbacks(execute=True):
        response = post(client, "verify-email/resend", email=email)
    assert (response.status_code, response.content) == (202, b"")
    assert mail.outbox == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("door", ["verify-email/resend", "password/reset"])
def test_it_is_answered_before_anything_is_looked_up(bob, client, monkeypatch, door):
    """One statement for every address: the row that asks for the mail."""
    monkeypatch.setattr(background, "run", lambda _: None)
    for email in ("bob@example.org", "nobody@example.org"):
        with CaptureQueriesContext(connection) as captured:
            assert post(client, door, email=email).status_code == 202
        (query,) = captured
        assert query["sql"].startswith("INSERT INTO")
    send_due()
    assert [message.to for message in mail.outbox] == [["bob@example.org"]]
