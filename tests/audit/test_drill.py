"""The drill verifies a restored copy by its own data, and writes nothing."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from audit import append_only
from audit.checkpoints import writing
from audit.drills import chain_verifies
from audit.models import SecurityEvent
from audit.sealing import sealer
from garrison.drills import DRILLS, Restored
from tests.audit.attacks import execute, key_of, sealed
from tests.audit.happenings import happened

NOW = timezone.now()
HERE = Restored(using="default")


def test_the_drill_is_registered():
    assert DRILLS["audit"] is chain_verifies


def test_empty_tables_are_whole(protected):
    found = chain_verifies(HERE)
    assert (found.is_whole, found.looked_at) == (True, 0)


def test_events_that_were_never_sealed_are_told_and_no_fault(protected):
    happened([NOW - timedelta(days=3), NOW])
    found = chain_verifies(HERE)
    assert (found.is_whole, found.looked_at) == (True, 0)
    assert "2 events have no seal" in found.detail


def test_what_was_not_sealed_yet_at_the_snapshot_is_told_and_no_fault(protected):
    sealed([NOW - timedelta(hours=3), NOW - timedelta(hours=2)])
    sealer.catch_up(now=timezone.now())
    happened([NOW - timedelta(hours=1), timezone.now()])
    found = chain_verifies(HERE)
    assert found.is_whole
    assert "2 events have no seal" in found.detail


def test_what_the_sealer_must_have_passed_over_is_a_fault(protected):
    sealed([NOW - timedelta(hours=3)])
    happened([NOW - timedelta(days=2)])
    found = chain_verifies(HERE)
    assert not found.is_whole
    assert "1 unsealed" in found.detail


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("UPDATE audit_securityevent SET actor_label = 'eve' WHERE id = %s", "edited"),
        ("DELETE FROM audit_securityevent WHERE id = %s", "deleted"),
        ("DELETE FROM audit_eventseal WHERE event_id = %s", "gap"),
    ],
)
def test_a_broken_chain_fails_the_drill_and_writes_nothing(protected, fault, code):
    sealed(NOW - timedelta(minutes=20 - n) for n in range(6))
    writing.write(stream="main", now=timezone.now())
    sealer.catch_up(now=timezone.now())
    assert chain_verifies(HERE).is_whole
    execute(fault, key_of(4))
    before = SecurityEvent.objects.count()
    found = chain_verifies(HERE)
    assert not found.is_whole
    assert code in found.detail
    assert "BROKEN" in found.detail
    assert SecurityEvent.objects.count() == before


def test_a_cut_off_end_fails_the_drill_by_the_copy_s_own_checkpoint(protected):
    sealed(NOW - timedelta(minutes=20 - n) for n in range(6))
    writing.write(stream="main", now=timezone.now())
    for number in (5, 6):
        execute("DELETE FROM audit_securityevent WHERE id = %s", key_of(number))
        execute("DELETE FROM audit_eventseal WHERE seq >= %s", number)
        break
    assert "truncated" in chain_verifies(HERE).detail


def test_a_copy_without_the_triggers_is_named(protected):
    sealed([NOW - timedelta(minutes=5)])
    append_only._unprotect(connection, [append_only.SEALS])
    found = chain_verifies(HERE)
    assert not found.is_whole
    assert "unprotected" in found.detail
    append_only.protect(connection)
    assert chain_verifies(HERE).is_whole


def test_the_wrong_key_is_named_by_its_id(protected, settings):
    sealed([NOW - timedelta(minutes=5)])
    settings.SECRET_KEY = "another-secret-of-another-site-0123456789"
    settings.SECRET_KEY_FALLBACKS = []
    found = chain_verifies(HERE)
    assert not found.is_whole
    assert "key_wrong" in found.detail
    assert "the key under 'site' here is another one" in found.detail
