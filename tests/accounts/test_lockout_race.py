"""A hundred guesses at the same moment, on real threads against the real database."""

import collections
import threading

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import attempt, lockout
from accounts.models import LockoutBucket
from audit.models import SecurityEvent
from tests.accounts.conftest import PASSWORD, WRONG, FastHasher, post
from tests.accounts.threads import all_at_once

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

GUESSES = 100


class CountingHasher(FastHasher):
    """Counts how often it is asked to compare."""

    compared = 0
    _lock = threading.Lock()

    def verify(self, password, encoded):
        with CountingHasher._lock:
            CountingHasher.compared += 1
        return super().verify(password, encoded)

    def encode(self, password, salt):
        with CountingHasher._lock:
            CountingHasher.compared += 1
        return super().encode(password, salt)


@pytest.fixture
def hasher(settings, ada, no_rate_limits, monkeypatch):
    if connection.vendor == "postgresql":  # a busy machine may not make a hundred in five seconds
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], "connect_timeout", 60)
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    CountingHasher.compared = 0
    return CountingHasher


def guess(number, *, email="ada@example.org", password=WRONG):
    client = APIClient(REMOTE_ADDR=f"203.0.113.{number % 250}")
    return post(client, "login", email=email, password=f"{password} {number}")


def test_of_a_hundred_parallel_guesses_five_are_answered_by_what_was_compared(hasher):
    """The others are refused after the same hash, which decides nothing but a mail to the owner."""
    responses = all_at_once(guess, times=GUESSES)
    statuses = collections.Counter(response.status_code for response in responses)
    assert statuses == {401: 5, 429: 95}
    assert hasher.compared == GUESSES
    refused = [response for response in responses if response.status_code == 429]
    assert {response.json()["code"] for response in refused} == {"locked_out"}
    assert all(int(response.headers["Retry-After"]) >= 1 for response in refused)
    failed = SecurityEvent.objects.of_kinds(["accounts.login.failed"])
    assert failed.count() == GUESSES
    assert SecurityEvent.objects.of_kinds(["accounts.lockout.started"]).count() == 1


def test_of_a_hundred_parallel_guesses_at_nobody_five_are_answered_too(hasher):
    responses = all_at_once(lambda n: guess(n, email="nobody@example.org"), times=GUESSES)
    assert collections.Counter(r.status_code for r in responses) == {401: 5, 429: 95}
    assert hasher.compared == GUESSES


def test_a_right_password_among_a_hundred_parallel_guesses_waits_for_a_verdict_of_others(hasher):
    """Once in the burst: either it is one of the five that are compared, or it meets the lock."""

    def guess_or_know(number):
        client = APIClient(REMOTE_ADDR=f"203.0.113.{number % 250}")
        password = PASSWORD if number == GUESSES // 2 else f"{WRONG} {number}"
        return post(client, "login", email="ada@example.org", password=password).status_code

    statuses = all_at_once(guess_or_know, times=GUESSES)
    wrong = collections.Counter(statuses[: GUESSES // 2] + statuses[GUESSES // 2 + 1 :])
    assert statuses[GUESSES // 2] in {200, 429}
    assert wrong[401] <= 10 if statuses[GUESSES // 2] == 200 else wrong[401] == 5
    assert sum(wrong.values()) == wrong[401] + wrong[429]


@pytest.mark.parametrize("is_trusted", [False, True])
def test_fifty_parallel_right_passwords_all_succeed(hasher, is_trusted, monkeypatch):
    monkeypatch.setattr(attempt, "LONGEST_WAIT_SECONDS", 60)  # of a busy machine's fifty threads
    token = sign_in_once()["device_token"] if is_trusted else ""

    def sign_in(number):
        client = APIClient(REMOTE_ADDR=f"203.0.113.{number}")
        body = {"email": "ada@example.org", "password": PASSWORD, "device_token": token}
        return post(client, "login", **body).status_code

    assert collections.Counter(all_at_once(sign_in, times=50)) == {200: 50}


def sign_in_once():
    return post(APIClient(), "login", email="ada@example.org", password=PASSWORD).json()


def test_guesses_at_many_accounts_from_one_address_stop_at_the_addresss_limit(hasher, settings):
    settings.ACCOUNTS_LOCKOUT_ADDRESS_FAILURES = 20

    def spray(number):
        return post(APIClient(), "login", email=f"user{number}@example.org", password=WRONG)

    responses = all_at_once(spray, times=60)
    assert collections.Counter(r.status_code for r in responses) == {401: 20, 429: 40}


def test_parallel_right_and_wrong_sign_ins_never_deadlock_and_count_right(hasher):
    """Successes take and give places in two buckets while failures take them."""
    others = [
        get_user_model().objects.create_user(
            email=f"user{n}@example.org", password=PASSWORD, email_verified_at=timezone.now()
        )
        for n in range(4)
    ]

    def sign_in(number):
        email = others[number % 4].email
        return post(APIClient(), "login", email=email, password=PASSWORD).status_code

    for _ in range(3):
        assert set(all_at_once(sign_in, times=16)) == {200}
    assert LockoutBucket.objects.get(key=lockout.address_key("127.0.0.1")).taken == 0
