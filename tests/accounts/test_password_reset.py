"""A new password by a mailed code: who has the mailbox has the account."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from accounts import codes
from accounts.errors import CodeInvalid, InvalidCredentials, PasswordRejected
from accounts.models import LockoutBucket
from accounts.models.mailed_code import Purpose
from accounts.services import check_credentials, reset_password, verify_email
from audit.models import SecurityEvent
from sessions_tracking.models import Session
from sessions_tracking.services import start_token_session
from tests.accounts.conftest import PASSWORD, WRONG, mailed_code, post

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "fresh kelp orbit 88 plum"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ask(client, email="ada@example.org"):
    return post(client, "password/reset", email=email)


def confirm(client, *, code, email="ada@example.org", password=NEW):
    return post(client, "password/reset/confirm", email=email, code=code, new_password=password)


def test_the_code_sets_a_new_password_and_ends_every_session(client, ada):
    start_token_session(user=ada, amr=["pwd"])
    assert ask(client).status_code == 202
    assert mail.outbox[0].to == ["ada@example.org"]
    assert confirm(client, code=mailed_code()).status_code == 204
    assert check_credentials(login_name="ada@example.org", password=NEW) == ada
    with pytest.raises(InvalidCredentials):
        check_credentials(login_name="ada@example.org", password=PASSWORD)
    assert Session.objects.get().ended_at
    (event,) = SecurityEvent.objects.of_kinds(["accounts.password.reset"])
    assert event.target == f"user:{ada.pk}"
    assert "was changed" in mail.outbox[1].subject


def test_a_code_is_used_once(client, ada):
    ask(client)
    code = mailed_code()
    assert confirm(client, code=code).status_code == 204
    assert confirm(client, code=code).json()["code"] == "code_invalid"


def as_mailed(code):
    return code


def in_small_letters_without_the_hyphen(code):
    return code.lower().replace("-", "")


def with_blanks(code):
    return f" {code[:3]} {code[3:]} "


def with_letters_for_digits(code):
    return code.replace("0", "o").replace("1", "l")


@pytest.mark.parametrize(
    "written",
    [as_mailed, in_small_letters_without_the_hyphen, with_blanks, with_letters_for_digits],
)
def test_a_code_is_taken_as_people_write_it(client, ada, written):
    ask(client)
    assert confirm(client, code=written(mailed_code())).status_code == 204


def test_a_code_that_opens_an_account_has_fifty_bits():
    form = codes.FORMS[Purpose.RESET_PASSWORD]
    assert len(set(form.alphabet)) ** form.length == 2**50
    made = [form.make() for _ in range(200)]
    assert len(set(made)) == 200
    assert set("".join(made)) == {*form.alphabet, "-"}
    assert all(form.read(code) == code.replace("-", "") for code in made)


@given(st.text())
def test_what_is_no_code_is_read_as_none(text):
    for form in codes.FORMS.values():
        read = form.read(text)
        assert read is None or (len(read) == form.length and set(read) <= set(form.alphabet))


def test_asking_is_answered_alike_for_every_address(client, ada):
    answers = [ask(client, email) for email in ("ada@example.org", "nobody@example.org")]
    assert [(a.status_code, a.content) for a in answers] == [(202, b"")] * 2
    assert len(mail.outbox) == 1


def test_a_deactivated_account_is_not_opened(client, ada):
    ada.is_active = False
    ada.save()
    ask(client)
    assert mail.outbox == []


def test_a_weak_password_is_refused_and_the_code_stays_good(client, ada):
    ask(client)
    code = mailed_code()
    refused = confirm(client, code=code, password="password1234").json()
    assert refused["code"] == "password_rejected"
    assert confirm(client, code=code).status_code == 204


def test_the_policy_is_asked_before_the_code_and_knows_the_address_only(ada):
    for email in ("ada@example.org", "nobody@example.org"):
        with pytest.raises(PasswordRejected):
            reset_password(email=email, code="000000", new_password="password")


def test_a_code_of_one_purpose_is_void_for_the_other(ada):
    now = timezone.now()
    code = codes.issue(user_id=ada.pk, purpose=Purpose.VERIFY_EMAIL, now=now)
    with pytest.raises(CodeInvalid):
        reset_password(email=ada.email, code=code, new_password=NEW)
    code = codes.issue(user_id=ada.pk, purpose=Purpose.RESET_PASSWORD, now=now)
    codes.issue(user_id=ada.pk, purpose=Purpose.VERIFY_EMAIL, now=now - timedelta(days=1))
    with pytest.raises(CodeInvalid):
        verify_email(email=ada.email, code=code)
    reset_password(email=ada.email, code=code, new_password=NEW)


def test_five_wrong_codes_stop_their_address_and_not_the_owner(client, ada, no_rate_limits):
    ask(client)
    code = mailed_code()
    wrong = code[:-1] + ("1" if code.endswith("0") else "0")
    for email in ("ada@example.org", "nobody@example.org"):
        answers = [confirm(client, code=wrong, email=email).json()["code"] for _ in range(6)]
        assert answers == ["code_invalid"] * 5 + ["locked_out"]
    assert confirm(client, code=code).json()["code"] == "locked_out"
    assert confirm(APIClient(REMOTE_ADDR="203.0.113.9"), code=code).status_code == 204


def test_strangers_asking_voids_no_code_and_one_mail_in_five_minutes_is_theirs(ada, no_rate_limits):
    with time_machine.travel(NOON, tick=False) as clock:
        mailed = []
        for minute in range(30):
            for number in range(3):
                ask(APIClient(REMOTE_ADDR=f"203.0.113.{number}"))
            clock.shift(timedelta(minutes=1))
            mailed.append(mailed_code())
            assert codes.verify(
                user_id=ada.pk,
                purpose=Purpose.RESET_PASSWORD,
                code=mailed[max(0, minute - 4)],
                now=timezone.now(),
                guesser=str(minute),
            ), "what was mailed five minutes ago is good, whatever was mailed since"
    assert len(mail.outbox) == len(set(mailed)) == 6


def test_a_trusted_device_has_mails_of_its_own(ada, no_rate_limits):
    token = post(APIClient(), "login", email=ada.email, password=PASSWORD).json()["device_token"]
    for _ in range(9):
        ask(APIClient())
    assert len(mail.outbox) == 1
    for _ in range(9):
        post(APIClient(), "password/reset", email=ada.email, device_token=token)
    assert len(mail.outbox) == 1 + 5
    ask(APIClient())
    assert confirm(APIClient(), code=mailed_code()).status_code == 204


def test_the_owner_of_the_mailbox_ends_a_lock_that_strangers_brought_about(
    client, ada, no_rate_limits
):
    for _ in range(6):
        post(client, "login", email="ada@example.org", password=WRONG)
    assert LockoutBucket.objects.locked(now=timezone.now()).exists()
    ask(client)
    confirm(client, code=mailed_code())
    assert post(client, "login", email="ada@example.org", password=NEW).status_code == 200


def test_an_account_that_was_registered_twice_is_opened_by_its_owner(client, db):
    """Nobody could tell whose password was whose, so the mailbox decides."""
    for password in (PASSWORD, "another kelp orbit 93 plum"):
        post(client, "register", email="bob@example.org", password=password)
    ask(client, "bob@example.org")
    assert confirm(client, email="bob@example.org", code=mailed_code()).status_code == 204
    assert post(client, "login", email="bob@example.org", password=NEW).status_code == 200
