"""A day in which strangers at a thousand addresses do all they can; what the owner still can."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import time_machine
from django.core import mail
from rest_framework.test import APIClient

from accounts.models import LockoutBucket
from audit.models import SecurityEvent
from tests.accounts.conftest import PASSWORD, WRONG, mailed_code, post

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_rate_limits")]

ADA = "ada@example.org"
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
RESET, UNLOCK = "Choose a new password for", "Your code for signing in"
ROUNDS = 18  # 80 minutes apart, so that they meet locks of every length; 56 addresses each
LOOK_ALIKES = [ADA, "ADA@EXAMPLE.ORG", "\uff21da@example.org", " ada@example.org "]
HOSTILE = ["x" * 300, "a\0b@example.org", "?@example.org", "x" * 254]


@pytest.fixture
def strangers():
    addresses = (f"198.{51 + n // 65000}.{n // 250 % 250}.{n % 250}" for n in count())

    def attack():
        """Guess at passwords and codes, ask for mails, each from an address of its own."""
        made = []

        def send(path, **body):
            client = APIClient(REMOTE_ADDR=next(addresses))
            made.append(post(client, path, **body).status_code)

        for number in range(12):
            send("login", email=LOOK_ALIKES[number % 4], password=f"{WRONG} {number}")
        for name in HOSTILE:
            send("login", email=name, password=WRONG)
        for _ in range(6):
            send("password/reset", email=ADA)
            more = {"email": ADA, "code": "00000-00000"}
            send("password/reset/confirm", **more, new_password="fresh kelp orbit 88 plum")
        for _ in range(2):
            send("unlock", email=ADA, code="00000-00000")
        assert max(made) < 500
        return made

    return attack


def sign_in(password, *, token="", ip="203.0.113.9"):
    body = {"email": ADA, "password": password, "device_token": token}
    return post(APIClient(REMOTE_ADDR=ip), "login", **body)


def reset(password):
    """Choose a new password from a new device; return its token."""
    before = len(mail.outbox)
    client = APIClient(REMOTE_ADDR="203.0.113.77")
    assert post(client, "password/reset", email=ADA).status_code == 202
    assert len(mail.outbox) <= before + 1
    code = newest(RESET)
    answer = post(client, "password/reset/confirm", email=ADA, code=code, new_password=password)
    assert answer.status_code == 204, answer.content
    return answer.headers["Device-Token"]


def unlock(password):
    """Sign in from a new device with the right password; return its token."""
    before = len(mail.outbox)
    assert sign_in(password, ip="203.0.113.78").status_code == 429
    assert len(mail.outbox) == before + 1
    client = APIClient(REMOTE_ADDR="203.0.113.78")
    answer = post(client, "unlock", email=ADA, code=newest(UNLOCK))
    assert answer.status_code == 204
    return answer.headers["Device-Token"]


def newest(subject):
    """Read the newest code of a kind in the owner's mailbox, whoever asked for it."""
    mail.outbox.sort(
        key=lambda message: message.subject.startswith(subject)
    )  # it keeps their order
    assert mail.outbox[-1].subject.startswith(subject)
    return mailed_code()


@pytest.mark.slow
def test_for_a_day_strangers_stop_neither_a_trusted_device_nor_recovery_by_mail(
    ada, settings, strangers
):
    settings.ACCOUNTS_LOCKOUT_SITE_FAILURES = 12  # the whole site refuses strangers as well
    settings.SESSIONS_MOST_PER_USER = 5
    password = PASSWORD
    with time_machine.travel(MIDNIGHT, tick=False) as clock:
        token = sign_in(password).json()["device_token"]
        for number in range(ROUNDS):
            strangers()
            assert sign_in(password, token=token).status_code == 200, "on the trusted device"
            assert sign_in(WRONG).status_code == 429, "and no stranger"
            if number % 2:
                password = f"fresh kelp orbit {number} plum dune"
                token = reset(password)
            elif number % 8 == 4:
                clock.shift(timedelta(minutes=43))  # a lock of its own, and so a mail
                strangers()
                token = unlock(password)
            strangers()
            assert sign_in(password, token=token).status_code == 200, "and on the new one"
            clock.shift(timedelta(minutes=80))
    buckets = LockoutBucket.objects.filter(key__endswith=":elsewhere")
    assert buckets.count() == 3, "one for the name in every spelling, and of what is a name"
    started = SecurityEvent.objects.of_kinds(["accounts.lockout.started"])
    assert started.filter(target="site").exists()
