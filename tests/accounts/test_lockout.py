"""The buckets, statement by statement; the races are in ``test_lockout_race``."""

import doctest
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from accounts import lockout
from accounts.errors import LockedOut
from accounts.lockout import Bucket
from accounts.models import LockoutBucket

NOW = timezone.now().replace(microsecond=0)
BUCKET = Bucket("account:x:elsewhere", 3)
ADDRESS = Bucket("address:203.0.113.9", 10)


def minutes(number):
    return timedelta(minutes=number)


def take(*buckets, at=NOW):
    return lockout.reserve(buckets=buckets or [BUCKET], now=at)


def fail(at=NOW):
    """Take a place and fail, as a wrong password does."""
    places = take(at=at)
    return lockout.lock(reservation=places[0], user_id=None, now=at)


@pytest.mark.django_db
def test_places_are_numbered_and_the_last_one_locks():
    assert [take()[0].number for _ in range(2)] == [1, 2]
    (last,) = take()
    assert last.is_last
    assert lockout.lock(reservation=last, user_id=None, now=NOW) == NOW + minutes(15)
    with pytest.raises(LockedOut) as refused:
        take(at=NOW + timedelta(seconds=1))
    assert refused.value.retry_after_seconds == 899


@pytest.mark.django_db
def test_a_lock_is_neither_lengthened_nor_counted_by_a_failure_that_ends_after_it_began():
    last = [take()[0] for _ in range(3)][-1]
    until = lockout.lock(reservation=last, user_id=None, now=NOW)
    assert lockout.lock(reservation=last, user_id=None, now=NOW + minutes(1)) is None
    row = LockoutBucket.objects.get()
    assert (row.locked_until, row.locks) == (until, 1)


@pytest.mark.django_db
def test_a_place_that_is_not_the_last_locks_nothing():
    assert fail() is None
    assert not LockoutBucket.objects.locked(now=NOW).exists()


@pytest.mark.django_db
def test_places_that_are_only_being_used_refuse_for_a_moment():
    for _ in range(3):
        take()
    with pytest.raises(LockedOut) as refused:
        take()
    assert refused.value.retry_after_seconds == lockout.SHORTEST_WAIT_SECONDS


@pytest.mark.django_db
def test_the_window_begins_anew_when_it_has_passed():
    fail(), fail()
    (place,) = take(at=NOW + minutes(15))
    assert place.number == 1


@pytest.mark.django_db
def test_the_window_begins_anew_when_a_lock_shorter_than_it_has_ended(settings):
    """Else the full bucket would refuse without a lock, or lock at the first failure."""
    settings.ACCOUNTS_LOCKOUT_SECONDS = 60
    until = [fail() for _ in range(3)][-1]
    after = until + timedelta(seconds=1)
    assert [take(at=after)[0].number for _ in range(3)] == [1, 2, 3]


@pytest.mark.django_db
def test_failures_inside_the_window_add_up_to_its_end():
    fail(), fail()
    (place,) = take(at=NOW + minutes(15) - timedelta(seconds=1))
    assert place.number == 3


@pytest.mark.django_db
def test_each_further_lock_is_twice_as_long_up_to_a_day():
    at, lengths = NOW, []
    for _ in range(9):
        fail(at), fail(at)
        until = fail(at)
        lengths.append(int((until - at).total_seconds() / 60))
        at = until
    assert lengths == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]


@pytest.mark.django_db
def test_a_day_without_a_lock_forgives_the_earlier_ones():
    fail(), fail()
    until = fail()
    later = until + timedelta(days=1)
    fail(later), fail(later)
    assert fail(later) == later + minutes(15)


@pytest.mark.django_db
def test_a_lock_is_not_extended_by_trying_on():
    fail(), fail()
    until = fail()
    for second in range(1, 20):
        with pytest.raises(LockedOut):
            take(at=NOW + timedelta(seconds=second))
    assert LockoutBucket.objects.get(key=BUCKET.key).locked_until == until
    assert take(at=until)[0].number == 1


@pytest.mark.django_db
def test_a_refusal_by_one_bucket_takes_no_place_in_the_other():
    fail(), fail(), fail()
    for _ in range(20):
        with pytest.raises(LockedOut):
            take(BUCKET, ADDRESS)
    assert LockoutBucket.objects.get(key=ADDRESS.key).taken == 0
    assert LockoutBucket.objects.get(key=BUCKET.key).taken == 3


@pytest.mark.django_db
def test_a_full_address_takes_no_place_from_the_account():
    for _ in range(10):
        take(ADDRESS)
    with pytest.raises(LockedOut):
        take(BUCKET, ADDRESS)
    assert LockoutBucket.objects.get(key=BUCKET.key).taken == 0


@pytest.mark.django_db
def test_a_success_clears_the_account_and_gives_the_address_one_place_back():
    take(BUCKET, ADDRESS), take(BUCKET, ADDRESS)
    lockout.clear(reservations=take(BUCKET, ADDRESS), now=NOW)
    assert LockoutBucket.objects.get(key=BUCKET.key).taken == 0
    assert LockoutBucket.objects.get(key=ADDRESS.key).taken == 2


@pytest.mark.django_db
def test_a_success_ends_the_memory_of_earlier_locks():
    fail(), fail()
    until = fail()
    lockout.clear(reservations=take(at=until), now=NOW)
    bucket = LockoutBucket.objects.get(key=BUCKET.key)
    assert (bucket.taken, bucket.locks, bucket.locked_until) == (0, 0, None)


@pytest.mark.django_db
def test_a_success_leaves_a_lock_of_the_address_that_began_meanwhile():
    held, until = take(BUCKET, ADDRESS), NOW + timedelta(minutes=15)
    LockoutBucket.objects.filter(key=ADDRESS.key).update(locked_until=until)
    lockout.clear(reservations=held, now=NOW)
    assert LockoutBucket.objects.get(key=ADDRESS.key).locked_until == until


def test_a_success_forgets_no_earlier_lock_of_the_address():
    LockoutBucket.objects.create(
        key=ADDRESS.key, places=10, taken=10, window_started_at=NOW, locked_until=NOW, locks=1
    )
    later = NOW + minutes(16)
    lockout.clear(reservations=take(BUCKET, ADDRESS, at=later), now=later)
    assert LockoutBucket.objects.get(key=ADDRESS.key).locks == 1


@pytest.mark.django_db
def test_giving_back_never_goes_below_nothing():
    (place,) = take()
    lockout.release(reservations=[place])
    lockout.release(reservations=[place])
    assert LockoutBucket.objects.get(key=BUCKET.key).taken == 0


@pytest.mark.django_db
def test_releasing_leaves_a_window_that_has_begun_since_alone():
    made = take()
    take(at=NOW + minutes(15))
    lockout.release(reservations=made)
    assert LockoutBucket.objects.get(key=BUCKET.key).taken == 1


@pytest.mark.django_db
def test_forgetting_removes_failures_and_lock():
    fail(), fail(), fail()
    assert lockout.forget(keys=[BUCKET.key]) == 1
    assert lockout.forget(keys=[BUCKET.key]) == 0
    assert take()[0].number == 1


@pytest.mark.django_db
def test_nothing_to_take_takes_no_statement(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert lockout.reserve(buckets=[], now=NOW) == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 300, "a\0b"])
def test_a_name_that_nobody_can_have_makes_no_bucket(name):
    assert [b.key for b in lockout.buckets_for(login_name=name, ip=None)] == ["site"]


def test_an_address_that_is_not_known_makes_no_bucket_for_everybody():
    keys = [b.key for b in lockout.buckets_for(login_name="ada@example.org", ip=None)]
    assert keys == [lockout.account_key("ada@example.org"), "site"]


def test_every_spelling_of_a_name_has_one_bucket_and_the_name_is_not_in_it():
    assert lockout.account_key("ADA@example.org") == lockout.account_key("\uff21da@example.org")
    assert "ada@" not in lockout.account_key("ada@example.org")


def test_a_device_has_a_bucket_of_its_own_and_no_other():
    buckets = lockout.buckets_for(login_name="ada@example.org", ip="203.0.113.9", device="d1")
    assert [b.key for b in buckets] == [lockout.account_key("ada@example.org", device="d1")]
    assert lockout.account_key("ada@example.org").endswith(":elsewhere")


def test_an_ipv6_site_has_one_bucket():
    assert lockout.address_key("2001:db8::1") == lockout.address_key("2001:db8::2")
    assert lockout.address_key("2001:db8:0:1::1") != lockout.address_key("2001:db8::1")


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(lockout).failed == 0


class Lockout(RuleBasedStateMachine):
    """Failures and successes in any order and at any pace: never more than three in a window."""

    @initialize()
    def begin(self):
        LockoutBucket.objects.all().delete()
        self.now = NOW
        self.failures = []  # when each counted failure happened
        self.locked_until = None

    @rule(seconds=st.integers(0, 2000))
    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule()
    def wrong_password(self):
        try:
            (place,) = take(at=self.now)
        except LockedOut as refused:
            self.refused_for(refused.retry_after_seconds)
            return
        assert self.locked_until is None or self.now >= self.locked_until
        self.failures.append(self.now)
        until = lockout.lock(reservation=place, user_id=None, now=self.now)
        if until is not None:
            self.locked_until = until
            self.failures.clear()

    def refused_for(self, seconds):
        assert self.locked_until is not None
        assert seconds == (self.locked_until - self.now).total_seconds() > 0

    @rule()
    def right_password(self):
        try:
            places = take(at=self.now)
        except LockedOut:
            return
        lockout.clear(reservations=places, now=NOW)
        self.failures.clear()

    @invariant()
    def no_window_holds_more_failures_than_places(self):
        recent = [at for at in getattr(self, "failures", []) if at > self.now - minutes(15)]
        assert len(recent) < 2 * BUCKET.places  # a fixed window holds at most twice at its edge


class TestLockoutMachine(TestCase, Lockout.TestCase):
    """pytest's door to the state machine, each run in a transaction of its own."""

    settings = hypothesis_settings(max_examples=25, stateful_step_count=25, deadline=None)
