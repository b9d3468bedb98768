"""What decides nothing any more is removed, and nothing that still does."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.utils import timezone

from accounts import axes_records, codes, lockout
from accounts.lockout import Bucket
from accounts.models import LockoutBucket, MailedCode
from accounts.models.mailed_code import Purpose
from accounts.schedule import SCHEDULE
from accounts.services.cleaning import clean
from accounts.tasks import clean_accounts

pytestmark = pytest.mark.django_db

NOW = timezone.now()
DAY = timedelta(days=1)


def lock(*, at):
    (place,) = lockout.reserve(buckets=[Bucket("account:x:elsewhere", 1)], now=at)
    assert lockout.lock(reservation=place, user_id=None, now=at)


def test_expired_codes_go_and_live_ones_stay(ada):
    codes.issue(user_id=ada.pk, purpose=Purpose.VERIFY_EMAIL, now=NOW)
    assert clean(now=NOW)["codes"] == 0
    assert clean(now=NOW + timedelta(minutes=10))["codes"] == 1
    assert not MailedCode.objects.exists()


def test_a_bucket_stays_as_long_as_it_makes_the_next_lock_longer():
    lock(at=NOW)
    unlocked_at = NOW + timedelta(minutes=15)
    assert clean(now=unlocked_at + DAY - timedelta(seconds=1))["buckets"] == 0
    assert clean(now=unlocked_at + DAY + timedelta(seconds=1))["buckets"] == 1


def test_a_bucket_of_a_few_failures_goes_after_a_day():
    lockout.reserve(buckets=[Bucket("account:x:elsewhere", 5)], now=NOW)
    assert clean(now=NOW + DAY - timedelta(seconds=1))["buckets"] == 0
    assert clean(now=NOW + DAY + timedelta(seconds=1))["buckets"] == 1
    assert not LockoutBucket.objects.exists()


def test_old_records_of_axes_go(ada):
    axes_records.record_failure(login_name="x", account=ada, ip=None, now=NOW - 2 * DAY)
    axes_records.record_failure(login_name="y", account=None, ip=None, now=NOW)
    assert clean(now=NOW)["axes_attempts"] == 1
    assert AccessAttempt.objects.count() == 1


def test_the_schedule_names_the_task_that_cleans():
    assert SCHEDULE["accounts.clean"]["task"] == clean_accounts.name
    assert set(clean_accounts().values()) == {0}
