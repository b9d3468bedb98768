"""One answer for unknown, wrong and inactive; one for locked; and what each leaves behind."""

import statistics
import time

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password

from accounts import lockout
from accounts.errors import EmailUnverified, HashingBusy, InvalidCredentials, LockedOut
from accounts.models import LockoutBucket
from accounts.services import check_credentials
from audit.models import SecurityEvent
from tests.accounts.conftest import PASSWORD, WRONG, FastHasher
from tests.accounts.threads import slots_taken

pytestmark = pytest.mark.django_db


def check(name="ada@example.org", password=PASSWORD):
    return check_credentials(login_name=name, password=password)


def refused(*args, **kwargs):
    with pytest.raises(InvalidCredentials) as refusal:
        check(*args, **kwargs)
    return refusal.value


def failures():
    return list(SecurityEvent.objects.of_kinds(["accounts.login.failed"]).order_by("pk"))


def taken(name="ada@example.org"):
    bucket = LockoutBucket.objects.filter(key=lockout.account_key(name)).first()
    return bucket.taken if bucket else None


def test_the_right_password_gives_the_person(ada):
    assert check() == ada
    assert check("  ADA@Example.org ") == ada
    assert failures() == []


def test_unknown_wrong_and_inactive_are_one_refusal(ada):
    inactive = get_user_model().objects.create_user(
        email="eve@example.org", password=PASSWORD, is_active=False
    )
    answers = [
        refused("nobody@example.org"),
        refused(password=WRONG),
        refused("eve@example.org"),
        refused("eve@example.org", WRONG),
        refused("x" * 300),
        refused("a\0b"),
        refused("\ud800"),
        refused(""),
    ]
    assert len({(a.code, a.status, a.title, a.detail, a.errors) for a in answers}) == 1
    reasons = [event.data["reason"] for event in failures()]
    assert reasons == [
        "unknown",
        "wrong_password",
        "inactive",
        "wrong_password",
        "unknown",
        "unknown",
        "unknown",
        "unknown",
    ]
    assert failures()[2].target == f"user:{inactive.pk}"


@pytest.mark.slow
def test_unknown_wrong_inactive_and_unusable_take_the_same_time(ada, real_hashing, settings):
    """Of the processor, events and statements included; the bound is generous, the hash is not."""
    settings.ACCOUNTS_LOCKOUT_FAILURES = settings.ACCOUNTS_LOCKOUT_ADDRESS_FAILURES = 1000
    people = get_user_model().objects
    people.create_user(email="eve@example.org", password=PASSWORD, is_active=False)
    people.create_user(email="none@example.org")
    cases = {
        "unknown": ("nobody@example.org", WRONG),
        "wrong": ("ada@example.org", WRONG),
        "inactive": ("eve@example.org", PASSWORD),
        "unusable": ("none@example.org", WRONG),
    }
    took = {name: [] for name in cases}
    for _ in range(5):
        for name, typed in cases.items():
            started = time.thread_time()
            refused(*typed)
            took[name].append(time.thread_time() - started)
    medians = {name: statistics.median(taken) for name, taken in took.items()}
    assert max(medians.values()) / min(medians.values()) < 1.5, medians
    assert min(medians.values()) > 0.01, f"nothing was hashed: {medians}"


def test_an_event_holds_neither_the_password_nor_the_name_of_nobody(ada):
    refused("hunter2-typed-as-a-name", "hunter2-typed-as-a-password")
    (event,) = failures()
    assert "hunter2" not in str(event.data) + event.target + event.actor_label
    assert len(event.data["name_fingerprint"]) == 32
    assert event.target == ""


def test_an_event_names_the_account_where_there_is_one(ada):
    refused(password=WRONG)
    (event,) = failures()
    assert event.target == f"user:{ada.pk}"
    assert event.data["account"] == "ada@example.org"
    assert event.actor_id == ""  # nobody has proved to be Ada


def test_the_advised_wait_grows_and_tells_nobody_who_exists(ada):
    known = [refused(password=WRONG).retry_after_seconds for _ in range(5)]
    unknown = [refused("nobody@example.org").retry_after_seconds for _ in range(5)]
    assert known == unknown == [None, 1, 2, 4, 8]


def test_five_failures_lock_and_the_right_password_is_not_even_compared(ada, monkeypatch):
    for _ in range(5):
        refused(password=WRONG)

    def never(*_):
        raise AssertionError

    monkeypatch.setattr(FastHasher, "verify", never)
    with pytest.raises(LockedOut) as locked:
        check()
    assert 880 < locked.value.retry_after_seconds <= 900
    assert failures()[-1].data["reason"] == "locked"
    assert failures()[-1].target == f"user:{ada.pk}"


def test_a_lock_of_nobody_is_the_same_refusal(ada):
    answers = []
    for name in ("ada@example.org", "nobody@example.org"):
        for _ in range(5):
            refused(name, WRONG)
        with pytest.raises(LockedOut) as locked:
            check(name)
        answers.append((locked.value.code, locked.value.detail, locked.value.status))
    assert answers[0] == answers[1]


def test_the_start_of_a_lock_is_told_once_with_whose_it_is(ada):
    for _ in range(5):
        refused(password=WRONG)
    for _ in range(3):
        with pytest.raises(LockedOut):
            check()
    (event,) = SecurityEvent.objects.of_kinds(["accounts.lockout.started"])
    assert event.target == f"user:{ada.pk}"
    assert event.data["locks"] == 1
    assert LockoutBucket.objects.get(key=lockout.account_key("ada@example.org")).user == ada


def test_a_success_forgets_earlier_failures(ada):
    for _ in range(4):
        refused(password=WRONG)
    check()
    assert taken() == 0
    for _ in range(4):
        refused(password=WRONG)
    assert check() == ada


def test_an_unverified_address_is_told_only_after_the_right_password_and_clears_nothing(ada):
    ada.email_verified_at = None
    ada.save()
    refused(password=WRONG)
    with pytest.raises(EmailUnverified):
        check()
    assert [event.data["reason"] for event in failures()] == ["wrong_password", "unverified"]
    assert taken() == 2


def test_the_right_password_of_an_inactive_account_counts_as_a_failure(ada):
    ada.is_active = False
    ada.save()
    refused()
    assert taken() == 1


def test_an_outdated_hash_is_renewed_at_sign_in(ada, real_hashing):
    ada.password = FastHasher().encode(PASSWORD, "some-salt-of-the-past")
    ada.save()
    check()
    ada.refresh_from_db()
    assert "m=47104,t=1,p=1" in ada.password
    assert check() == ada


def test_a_hash_in_the_present_profile_is_left_alone(ada, django_assert_num_queries):
    check()  # which dates the password
    with django_assert_num_queries(4):  # reserve, find the account, its password's age, clear
        check()


def test_a_person_without_a_usable_password_is_refused_like_any_other(ada):
    ada.set_unusable_password()
    ada.save()
    assert refused().code == "invalid_credentials"
    assert failures()[0].data["reason"] == "wrong_password"


def test_where_no_hashing_slot_was_free_nothing_counts(ada, settings):
    settings.ACCOUNTS_HASHING_SLOTS = 1
    with slots_taken(1), pytest.raises(HashingBusy):
        check()
    assert taken() is None
    assert failures() == []


def test_a_name_that_nobody_can_have_leaves_no_bucket(ada):
    for name in ("", "x" * 300, "a\0b"):
        refused(name)
    assert not LockoutBucket.objects.accounts().exists()


def test_a_limit_of_the_hosts_own_holds(ada, settings):
    settings.ACCOUNTS_LOCKOUT_FAILURES = 2
    refused(password=WRONG), refused(password=WRONG)
    with pytest.raises(LockedOut):
        check()


def test_a_foreign_hash_left_without_its_hasher_is_refused_not_crashed(ada):
    ada.password = make_password(PASSWORD).replace("argon2$", "bcrypt$")
    ada.save()
    assert refused().code == "invalid_credentials"
