"""How long a refusal takes tells nobody what was refused: the real hash, the real mail server."""

import random
import statistics
import time
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import PBKDF2SHA1PasswordHasher, make_password
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import lockout
from accounts.models import LockoutBucket
from accounts.password.hashers import GarrisonArgon2PasswordHasher
from tests import smtp
from tests.accounts.conftest import PASSWORD, WRONG, post

TRIES = 200


class OldHasher(PBKDF2SHA1PasswordHasher):
    """As Django hashed in 2015, which is much quicker than today."""

    iterations = 20_000


LEGACY = f"{__name__}.OldHasher"
OURS = f"{GarrisonArgon2PasswordHasher.__module__}.{GarrisonArgon2PasswordHasher.__name__}"
NAMES = ["wrong", "unknown", "inactive", "legacy", "locked", "locked_right"]


def person(name, **more):
    return get_user_model().objects.create_user(
        email=f"{name}@example.org", password=PASSWORD, email_verified_at=timezone.now(), **more
    )


def timed(name):
    """Return the seconds of the answer, those in which its thread worked, and the status."""
    password = PASSWORD if name in {"inactive", "locked_right"} else WRONG
    began, work = time.perf_counter(), time.thread_time()
    answer = post(APIClient(), "login", email=f"{name}@example.org", password=password)
    return time.perf_counter() - began, time.thread_time() - work, answer.status_code


@pytest.fixture
def people(db):
    for name in NAMES:
        if name != "unknown":
            person(name, is_active=name != "inactive")
    rows = get_user_model().objects.filter(email="legacy@example.org")
    rows.update(password=make_password(PASSWORD, hasher="pbkdf2_sha1"))
    for name in ("locked", "locked_right"):
        (made,) = lockout.reserve(
            buckets=[lockout.Bucket(lockout.account_key(f"{name}@example.org"), 1)],
            now=timezone.now(),
        )
        lockout.lock(reservation=made, user_id=None, now=timezone.now())
        LockoutBucket.objects.update(locked_until=timezone.now() + timedelta(days=1))


@pytest.mark.slow
@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("real_hashing", "no_rate_limits", "real_background")
def test_the_medians_of_every_refusal_lie_within_a_tenth(settings, deliver_to, request):
    """Of the work of its thread, which a busy machine leaves alone; the wall clock is printed."""
    settings.PASSWORD_HASHERS = [OURS, LEGACY]
    settings.ACCOUNTS_LOCKOUT_ADDRESS_FAILURES = 10_000
    request.getfixturevalue("people")
    taken, order = {name: [] for name in NAMES}, random.Random(1)
    with smtp.running(delay_seconds=0.05) as server:
        deliver_to(server.port)
        for _ in range(TRIES):
            LockoutBucket.objects.filter(locked_until=None).delete()  # no failure locks the others
            for name in order.sample(NAMES, len(NAMES)):
                *seconds, status = timed(name)
                assert status == (429 if "locked" in name else 401)
                taken[name].append(seconds)
        assert [m for m in server.messages if "locked_right@" in m], "the unlocking code went out"
    wall, work = (
        {name: statistics.median(times[n] for times in taken[name]) * 1000 for name in NAMES}
        for n in (0, 1)
    )
    print(f"medians in ms: wall {wall}, work {work}")  # noqa: T201 - the figure
    assert max(work.values()) < 1.10 * min(work.values()), work
