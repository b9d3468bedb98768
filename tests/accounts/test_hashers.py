"""Argon2id in the profile OWASP names, a bounded number at once, at one cost for everybody."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type
from django.contrib.auth.hashers import PBKDF2PasswordHasher, check_password, make_password

from accounts.errors import HashingBusy
from accounts.password import hashers, verification
from accounts.password.hashers import GarrisonArgon2PasswordHasher, hashing_slot
from accounts.password.verification import verify
from tests.accounts.conftest import FAST, PASSWORD, WRONG, FastHasher
from tests.accounts.threads import slots_taken

OURS = "accounts.password.hashers.GarrisonArgon2PasswordHasher"


class SomePBKDF2(PBKDF2PasswordHasher):
    """A legacy hasher that is slower than ours, as Django's default is."""

    iterations = 1_000_000


class QuickPBKDF2(PBKDF2PasswordHasher):
    """The same, where the time it takes is not the subject."""

    iterations = 1_000


SLOW_LEGACY = f"{__name__}.SomePBKDF2"
LEGACY = f"{__name__}.QuickPBKDF2"


def test_the_profile_is_the_one_of_owasp(real_hashing):
    parameters = extract_parameters(make_password(PASSWORD).removeprefix("argon2"))
    assert parameters.type is Type.ID
    assert parameters.memory_cost == 46 * 1024  # KiB
    assert (parameters.time_cost, parameters.parallelism) == (1, 1)


def test_right_is_right_and_wrong_is_wrong(real_hashing):
    encoded = make_password(PASSWORD)
    assert verify(PASSWORD, encoded) == verification.Verdict(is_right=True)
    assert not verify(WRONG, encoded).is_right


@pytest.mark.parametrize("nobody", [None, "", "!unusable", "gibberish", "argon2$broken", "md5$a$b"])
def test_what_holds_no_password_opens_to_none(nobody, caplog):
    assert not verify(PASSWORD, nobody).is_right
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("impossible", ["a\0b", "\ud800", "x" * 1025, ""])
def test_a_password_that_cannot_be_one_is_wrong_and_not_a_crash(impossible):
    assert not verify(impossible, make_password(PASSWORD)).is_right
    assert not verify(impossible, make_password("")).is_right or impossible == ""


def test_a_hash_of_other_parameters_is_right_and_outdated(real_hashing):
    encoded = FastHasher().encode(PASSWORD, FastHasher().salt())
    assert verify(PASSWORD, encoded) == verification.Verdict(is_right=True, is_outdated=True)


def test_a_hash_of_another_algorithm_is_right_and_outdated(settings):
    settings.PASSWORD_HASHERS = [FAST, LEGACY]
    encoded = make_password(PASSWORD, hasher="pbkdf2_sha256")
    assert verify(PASSWORD, encoded) == verification.Verdict(is_right=True, is_outdated=True)
    assert not verify(WRONG, encoded).is_right


def test_each_hasher_works_once_whoever_it_is(settings, monkeypatch):
    settings.PASSWORD_HASHERS = [FAST, LEGACY]
    own, legacy = make_password(PASSWORD), make_password(PASSWORD, hasher="pbkdf2_sha256")
    worked = []
    for cls in (FastHasher, QuickPBKDF2):
        for name in ("verify", "encode"):
            original = getattr(cls, name)

            def count(self, *args, original=original):
                if not worked or worked[-1] != "inside":
                    worked.append(self.algorithm)
                    worked.append("inside")
                    result = original(self, *args)
                    worked.remove("inside")
                    return result
                return original(self, *args)

            monkeypatch.setattr(cls, name, count)
    for encoded in (own, legacy, None, "!unusable"):
        worked.clear()
        verify(WRONG, encoded)
        assert sorted(worked) == ["argon2", "pbkdf2_sha256"], encoded


def processor_seconds(calls, *, rounds=3):
    """Return each call's median, in turns, of its own thread's time: other work does not count."""
    measured = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.thread_time()
            call()
            measured[name].append(time.thread_time() - started)
    return {name: statistics.median(taken) for name, taken in measured.items()}


@pytest.mark.slow
def test_unknown_wrong_legacy_and_cheaper_hashes_take_the_same_time(settings):
    """Within a factor of 1.5; a backend that hashes by default shows a legacy hash."""
    settings.PASSWORD_HASHERS = [OURS, SLOW_LEGACY]
    cheaper = GarrisonArgon2PasswordHasher()
    cheaper.memory_cost = 8 * 1024
    cases = {
        "unknown": None,
        "wrong": make_password(PASSWORD),
        "unusable": make_password(None),
        "legacy": make_password(PASSWORD, hasher="pbkdf2_sha256"),
        "cheaper": cheaper.encode(PASSWORD, cheaper.salt()),
    }
    took = processor_seconds(
        {name: partial(verify, WRONG, encoded) for name, encoded in cases.items()}
    )
    assert max(took.values()) / min(took.values()) < 1.5, took
    naive = processor_seconds(
        {name: partial(check_password, WRONG, cases[name]) for name in ("wrong", "legacy")}
    )
    assert naive["legacy"] / naive["wrong"] > 1.5, f"the legacy hasher is too fast to show: {naive}"


WORK = [
    lambda hasher: hasher.encode(PASSWORD, "somesaltsomesalt"),
    lambda hasher: hasher.verify(PASSWORD, ENCODED),
    lambda _: verify(PASSWORD, None),
    lambda _: make_password(PASSWORD),
]
ENCODED = GarrisonArgon2PasswordHasher().encode(PASSWORD, "somesaltsomesalt")


@pytest.mark.parametrize("work", WORK, ids=["encode", "verify", "unknown name", "make_password"])
def test_where_every_slot_is_taken_whoever_comes_is_refused_at_once(settings, work, real_hashing):
    settings.ACCOUNTS_HASHING_SLOTS, hasher = 3, GarrisonArgon2PasswordHasher()
    with slots_taken(2):
        assert work(hasher)
    with slots_taken(3):
        began = time.monotonic()
        with pytest.raises(HashingBusy) as busy:
            work(hasher)
        assert time.monotonic() - began < 2
    assert (busy.value.status, busy.value.retry_after_seconds) == (503, 1)
    assert work(hasher)  # free again


def test_what_hashes_twice_holds_one_slot(settings):
    settings.ACCOUNTS_HASHING_SLOTS, hasher = 1, GarrisonArgon2PasswordHasher()
    with hashing_slot(), ThreadPoolExecutor(1) as another:
        assert hasher.verify(PASSWORD, ENCODED)
        with pytest.raises(HashingBusy):
            another.submit(hasher.verify, PASSWORD, ENCODED).result()


def test_a_slot_is_free_again_after_a_failure(settings):
    settings.ACCOUNTS_HASHING_SLOTS = 1
    with pytest.raises(RuntimeError), hashing_slot():
        raise RuntimeError
    with hashing_slot():
        assert hashers._slots(1).acquire(blocking=False) is False
