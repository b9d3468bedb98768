"""Fifty half-done sign-ins at once, on real threads against the real database."""

import collections

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import lockout
from accounts.models import LockoutBucket, PendingSignIn
from audit.models import SecurityEvent
from sessions_tracking.models import Session
from tests.accounts.conftest import PASSWORD, post
from tests.accounts.threads import all_at_once

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_rate_limits"),
]

THREADS = 50
ADDRESS = lockout.address_key("127.0.0.1")
ACCOUNT = lockout.account_key("ada@example.org")


@pytest.fixture(autouse=True)
def _asks_for_a_colour(settings):
    settings.ACCOUNTS_SIGN_IN_STEPS = ["tests.accounts.colour.FavouriteColour"]
    settings.ACCOUNTS_LOCKOUT_FAILURES = settings.ACCOUNTS_LOCKOUT_ADDRESS_FAILURES = 2 * THREADS


def begin(email="ada@example.org"):
    return post(APIClient(), "login", email=email, password=PASSWORD).json()["mfa_token"]


def complete(token):
    return post(APIClient(), "login/mfa", mfa_token=token, method="colour", code="green")


def taken(key):
    return LockoutBucket.objects.get(key=key).taken


def test_nobody_is_refunded_before_completion_and_then_exactly_who_has_completed(ada):
    tokens = all_at_once(lambda _: begin(), times=THREADS)
    assert len(set(tokens)) == PendingSignIn.objects.count() == THREADS
    assert (taken(ACCOUNT), taken(ADDRESS)) == (THREADS, THREADS)
    assert complete(tokens.pop()).status_code == 200
    assert (taken(ACCOUNT), taken(ADDRESS)) == (THREADS - 1, THREADS - 1)
    some = [tokens.pop() for _ in range(20)]
    answers = all_at_once(lambda n: complete(some[n]).status_code, times=20)
    assert set(answers) == {200}
    assert taken(ADDRESS) == len(tokens) == THREADS - 21
    assert complete(tokens.pop()).status_code == 200  # alone, so the account's count is exact
    assert (taken(ACCOUNT), taken(ADDRESS)) == (THREADS - 22, THREADS - 22)
    assert Session.objects.count() == 22


def test_half_done_sign_ins_of_fifty_people_are_each_refunded_alone(ada):
    people = [
        get_user_model().objects.create_user(
            email=f"user{n}@example.org", password=PASSWORD, email_verified_at=timezone.now()
        )
        for n in range(THREADS)
    ]
    tokens = all_at_once(lambda n: begin(people[n].email), times=THREADS)
    assert taken(ADDRESS) == THREADS
    assert complete(tokens[0]).status_code == 200
    buckets = LockoutBucket.objects.accounts()
    assert collections.Counter(bucket.taken for bucket in buckets) == {1: THREADS - 1, 0: 1}
    assert taken(ADDRESS) == THREADS - 1


def test_of_many_completions_of_one_half_done_sign_in_one_starts_a_session(ada):
    token = begin()
    answers = all_at_once(lambda _: complete(token), times=5)
    assert collections.Counter(answer.status_code for answer in answers) == {200: 1, 401: 4}
    assert {a.json()["code"] for a in answers if a.status_code == 401} == {"mfa_token_invalid"}
    assert Session.objects.count() == 1
    assert SecurityEvent.objects.of_kinds(["accounts.login.succeeded"]).count() == 1
    assert (taken(ACCOUNT), taken(ADDRESS)) == (0, 0)


def test_of_many_right_and_wrong_answers_five_are_looked_at(ada):
    token = begin()

    def answer(number):
        body = {"mfa_token": token, "method": "colour", "code": f"red {number}"}
        return post(APIClient(), "login/mfa", **body).json()["code"]

    codes = collections.Counter(all_at_once(answer, times=20))
    assert codes == {"code_invalid": 5, "mfa_token_invalid": 15}


def test_forty_first_steps_of_one_account_hold_five_places(ada, settings):
    settings.ACCOUNTS_LOCKOUT_FAILURES = 5
    body = {"email": "ada@example.org", "password": PASSWORD}
    answers = all_at_once(lambda _: post(APIClient(), "login", **body).status_code, times=40)
    assert collections.Counter(answers) == {200: 5, 429: 35}
    assert PendingSignIn.objects.count() == 5


def left_of_the_rate(answer):
    return int(answer.headers["RateLimit"].partition("r=")[2].partition(";")[0])


def test_the_rate_limit_refunds_no_half_way_answer_and_one_completion(ada, settings):
    settings.RATE_LIMITS = {"auth": ["200/d address"], "api": []}
    tokens = all_at_once(lambda _: begin(), times=THREADS)
    completed = complete(tokens[0])
    assert left_of_the_rate(completed) == 200 - THREADS - 1
    wrong = complete("x")
    assert left_of_the_rate(wrong) == 200 - THREADS - 1  # the completion was refunded, and only it
