"""The right password of a locked account: refused like a wrong one, and its owner is mailed."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import LockoutBucket, MailedCode
from audit.models import SecurityEvent
from tests.accounts.conftest import WRONG, mailed_code, post
from tests.accounts.test_trusted_devices import ADA, lock_out_strangers, sign_in
from tests.accounts.threads import all_at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_rate_limits")]

SUBJECT = "Your code for signing in at"


def codes_mailed():
    return [message for message in mail.outbox if message.subject.startswith(SUBJECT)]


@pytest.fixture
def locked(ada):
    lock_out_strangers()
    mail.outbox.clear()
    return ada


def unlock(client, *, code, email=ADA):
    return post(client, "unlock", email=email, code=code)


def test_the_mailed_code_lets_that_device_in_whatever_strangers_do(locked):
    assert sign_in().status_code == 429
    (message,) = codes_mailed()
    assert message.to == [ADA]
    client = APIClient()
    answer = unlock(client, code=mailed_code())
    assert (answer.status_code, answer.content) == (204, b"")
    lock_out_strangers()
    assert sign_in().status_code == 429
    assert sign_in(token=answer.headers["Device-Token"]).status_code == 200
    assert sign_in(client).status_code == 200, "the browser has the cookie"
    (event,) = SecurityEvent.objects.of_kinds(["accounts.account.unlocked"])
    assert event.data == {"by": "code"}


def test_the_answer_is_that_to_a_wrong_password_and_nothing_is_mailed_for_one(locked):
    right, wrong = sign_in(), sign_in(password=WRONG)
    unknown = [sign_in(email="nobody@example.org", password=WRONG) for _ in range(6)][-1]
    bodies = [
        {k: v for k, v in answer.json().items() if k != "request_id"}
        for answer in (right, wrong, unknown)
    ]
    assert bodies[0] == bodies[1] == bodies[2]
    assert set(right.headers) == set(wrong.headers) == set(unknown.headers)
    assert len(codes_mailed()) == 1


def test_one_mail_for_a_lock_and_five_a_day(ada):
    now = timezone.now()
    with time_machine.travel(now, tick=False) as clock:
        for lock in range(8):
            lock_out_strangers()
            for _ in range(3):
                assert sign_in().status_code == 429
            assert len(codes_mailed()) == min(lock + 1, 5)
            LockoutBucket.objects.filter(key__endswith=":elsewhere").delete()
            clock.shift(timedelta(minutes=20))


@pytest.mark.parametrize("state", ["inactive", "wrong_purpose", "expired", "used", "other"])
def test_a_code_is_good_once_and_for_its_account_and_purpose(locked, state, admin_user):
    if state == "inactive":
        type(locked).objects.filter(pk=locked.pk).update(is_active=False)
        sign_in()
        assert not codes_mailed()
        return
    if state == "wrong_purpose":
        post(APIClient(), "password/reset", email=ADA)
    else:
        sign_in()
    code = mailed_code()
    if state == "expired":
        MailedCode.objects.update(expires_at=timezone.now())
    if state == "used":
        assert unlock(APIClient(), code=code).status_code == 204
    email = admin_user.email if state == "other" else ADA
    expected = "code_expired" if state == "expired" else "code_invalid"
    assert unlock(APIClient(), code=code, email=email).json()["code"] == expected


def test_a_mail_scanner_that_follows_links_uses_nothing_up(locked):
    sign_in()
    for method in ("get", "head", "options"):
        assert getattr(APIClient(), method)("/api/auth/unlock").status_code in {200, 401, 405}
    assert unlock(APIClient(), code=mailed_code()).status_code == 204


@pytest.mark.postgresql
def test_of_fifty_that_use_a_code_at_once_one_does(locked, settings):
    settings.ACCOUNTS_CODE_TRIES = 100
    sign_in()
    code = mailed_code()
    statuses = all_at_once(lambda _: unlock(APIClient(), code=code).status_code, times=50)
    assert sorted(statuses) == [204] + [400] * 49
