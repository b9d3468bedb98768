"""Old evidence goes behind a signed anchor, and nothing else does."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from audit import append_only, retention
from audit.conf import AuditSettings
from audit.models import Checkpoint, EventSeal, SecurityEvent
from audit.sealing import sealer
from audit.verification.verify import Question, verify
from tests.audit.attacks import execute, key_of
from tests.audit.happenings import happened

NOW = timezone.now()
DAY = timedelta(days=1)


def sealed(ages, *, at=NOW - 800 * DAY):
    """Store and seal events of such ages, as a sealer of that day did."""
    happened(NOW - age * DAY for age in ages)
    for _ in range(2):  # the second seals what the first one reports
        sealer.catch_up(now=at)


def numbers():
    return list(EventSeal.objects.order_by("seq").values_list("seq", flat=True))


def is_whole():
    sealer.catch_up(now=NOW)
    return verify(Question(now=NOW)).verdict == "whole"


@pytest.fixture
def five(protected):
    """Three that are old, and two that are not."""
    sealed([900, 850, 801])
    sealed([729, 10], at=NOW)


@pytest.mark.parametrize("batch_rows", [1, 2, 1000])
def test_what_is_older_goes_in_batches_and_the_rest_verifies(five, batch_rows):
    first = numbers()[0]
    assert retention.remove_old(now=NOW, batch_rows=batch_rows) >= 3
    kept = numbers()
    assert len(kept) >= 2
    assert kept[0] > first
    assert not SecurityEvent.objects.filter(at__lt=NOW - 730 * DAY).exists()
    assert SecurityEvent.objects.filter(kind="tests.door.opened").count() == 2
    assert is_whole()
    assert retention.remove_old(now=NOW) == 0
    removed = SecurityEvent.objects.filter(kind="audit.events.removed")
    assert removed.count() == Checkpoint.objects.filter(purpose=Checkpoint.ANCHOR).count()


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("table", ["audit_eventseal", "audit_securityevent"])
def test_what_somebody_removed_before_stays_to_be_seen(five, place, table):

    gone = EventSeal.objects.order_by("seq")[place]
    column, key = ("seq", gone.seq) if table == "audit_eventseal" else ("id", key_of(gone.seq))
    with append_only.door_open(connection):
        execute(f"DELETE FROM {table} WHERE {column} = %s", key)
    retention.remove_old(now=NOW)
    assert not is_whole()
    assert numbers()[-1] > gone.seq
    if table == "audit_eventseal":
        assert SecurityEvent.objects.filter(pk=gone.event_id).exists()
    else:
        assert gone.seq in numbers()


def test_zero_keeps_everything_and_a_week_is_the_least(five, settings):
    settings.AUDIT_KEEP_DAYS = 0
    assert retention.remove_old(now=NOW) == retention.clean_admin_log(now=NOW) == 0
    settings.AUDIT_KEEP_DAYS = 7
    assert "8 and more" in vars(AuditSettings)["keep_days"].problem()
