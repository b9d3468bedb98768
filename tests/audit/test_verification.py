"""Each way of tampering is named, whoever does it."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from audit.checkpoints import writing
from audit.models import EventSeal, SecurityEvent
from audit.sealing import sealer
from audit.sealing.encoding import FIELDS
from tests.audit.attacks import (
    command,
    execute,
    found,
    inserted,
    key_of,
    key_of_now,
    looked,
    sealed,
)
from tests.audit.happenings import happened

NOW = timezone.now()


@pytest.fixture
def ten(protected):
    """Ten sealed events, with something in every column."""
    return sealed(
        (NOW - timedelta(minutes=20 - n) for n in range(10)),
        actor_id="42",
        actor_label="ada@example.org",
        target="user:43",
        ip="203.0.113.9",
        location="Paris",
        user_agent="Mozilla/5.0",
        session_id="s1",
        request_id="r1",
        data={"reason": "wrong_password", "n": 1},
    )


OTHER = {
    "id": uuid.UUID("01a20000-0000-7000-8000-000000000001"),
    "stream": "side",
    "kind": "tests.door.closed",
    "severity": 5,
    "outcome": "refused",
    "at": NOW - timedelta(days=1),
    "actor_id": "43",
    "actor_label": "eve@example.org",
    "target": "",
    "ip": None,
    "location": "paris",
    "user_agent": "Mozilla/5.1",
    "session_id": "s2",
    "request_id": "r2",
    "data": '{"n": 2, "reason": "wrong_password"}',
    "attestation": "1.00000000.00",
}


def test_an_untouched_chain_is_whole(ten):
    report = looked()
    assert report.violations == []
    assert report.looked_at == EventSeal.objects.count() >= 10
    writing.write(stream="main", now=timezone.now())
    assert command()[0] == 0


def test_every_column_of_an_event_is_sealed():
    columns = {field.column for field in SecurityEvent._meta.concrete_fields}
    assert columns == set(FIELDS) == set(OTHER)


@pytest.mark.parametrize("column", [column for column in FIELDS if column != "id"])
def test_an_edit_of_any_column_is_named(ten, column):
    value = OTHER[column]
    if connection.vendor == "sqlite" and column == "at":
        value = value.replace(tzinfo=None).isoformat(" ")
    cast = "::jsonb" if column == "data" and connection.vendor == "postgresql" else ""
    changed = execute(
        f"UPDATE audit_securityevent SET {column} = %s{cast} WHERE id = %s", value, key_of(5)
    )
    assert changed == 1
    report = looked()
    assert [(f.code, f.number) for f in report.violations] == [("edited", 5)]
    assert "was changed after it was sealed" in report.violations[0].detail
    code, told = command()
    assert (code, told["whole"], told["counts"]) == (1, False, {"edited": 1})


def test_an_event_under_another_key_is_gone_and_the_other_one_not_sealed(ten):
    key = OTHER["id"] if connection.vendor == "postgresql" else OTHER["id"].hex
    execute("UPDATE audit_securityevent SET id = %s WHERE id = %s", key, key_of(5))
    assert {code for code, _ in found()} == {"deleted", "unsealed"}


def test_a_removed_event_is_named(ten):
    execute("DELETE FROM audit_securityevent WHERE id = %s", key_of(5))
    assert found() == [("deleted", 5)]


@pytest.mark.parametrize(("first", "last"), [(1, 1), (1, 3), (5, 5), (4, 8)])
def test_events_removed_with_their_seals_leave_a_gap(ten, first, last):
    for number in range(first, last + 1):
        execute("DELETE FROM audit_securityevent WHERE id = %s", key_of(number))
        execute("DELETE FROM audit_eventseal WHERE seq = %s", number)
    assert found() == [("gap", last + 1)]


def test_a_removed_seal_leaves_a_gap_and_an_event_without_one(ten):
    execute("DELETE FROM audit_eventseal WHERE seq = %s", 5)
    report = looked()
    assert [(f.code, f.number) for f in report.violations] == [("gap", 6)]
    assert report.doubts[0].startswith("1 events have no seal")


def test_an_event_written_in_behind_the_sealer_is_named(ten):
    inserted(id=key_of_now(at=NOW - timedelta(minutes=15)))
    assert found() == [("unsealed", None)]


def test_an_attested_event_that_waits_for_a_sealer_is_no_finding_and_keeps_the_log_from_being_whole(
    ten,
):
    happened([NOW - timedelta(minutes=15)])
    report = looked()
    assert (report.verdict, report.violations) == ("indeterminate", [])
    assert "wait for a sealer" in report.summary()
    sealer.catch_up(now=timezone.now(), since=NOW - timedelta(days=1))
    assert looked().verdict == "whole"


def test_an_event_younger_than_a_minute_may_wait(ten):
    happened([timezone.now() - timedelta(seconds=30)])
    assert found() == []


def test_a_backdated_event_that_the_sealer_took_is_remarked(ten):
    happened([NOW - timedelta(hours=5)])
    sealer.catch_up(now=timezone.now(), since=NOW - timedelta(days=1))
    report = looked()
    assert report.verdict == "whole"
    assert "happened more than an hour later" in report.remarks[0]


def test_a_forged_seal_at_the_end_is_named(ten):
    (event,) = happened([timezone.now()])
    last = EventSeal.objects.order_by("-seq").first()
    EventSeal.objects.create(
        event=event,
        stream="main",
        seq=last.seq + 1,
        version=2,
        key_id=last.key_id,
        prev=bytes(last.mac),
        mac=bytes(32),
        sealed_at=timezone.now(),
    )
    assert found() == [("forged", last.seq + 1)]


def test_a_replaced_event_and_seal_are_named(ten):
    (event,) = happened([NOW - timedelta(minutes=15)])
    execute("DELETE FROM audit_securityevent WHERE id = %s", key_of(5))
    key = event.pk if connection.vendor == "postgresql" else event.pk.hex
    execute("UPDATE audit_eventseal SET event_id = %s, mac = %s WHERE seq = 5", key, b"x" * 32)
    assert found() == [("forged", 5)]


def swap(one, other):
    execute("UPDATE audit_eventseal SET seq = 1000 WHERE seq = %s", one)
    execute("UPDATE audit_eventseal SET seq = %s WHERE seq = %s", one, other)
    execute("UPDATE audit_eventseal SET seq = %s WHERE seq = 1000", other)


@pytest.mark.parametrize(("one", "other"), [(5, 6), (2, 9)])
def test_seals_that_changed_places_are_named(ten, one, other):
    swap(one, other)
    report = looked()
    assert [(f.code, f.number) for f in report.violations] == [("moved", one), ("moved", other)]
    assert f"sealed as number {other}" in report.violations[0].detail


def test_events_that_changed_places_are_named(ten):
    first, second = key_of(3), key_of(7)
    spare = uuid.uuid4() if connection.vendor == "postgresql" else uuid.uuid4().hex
    for seq, key in ((3, spare), (7, first), (3, second)):
        execute("UPDATE audit_eventseal SET event_id = %s WHERE seq = %s", key, seq)
    assert found() == [("moved", 3), ("moved", 7)]


@pytest.mark.parametrize("column", ["version", "key_id", "prev", "mac", "sealed_at"])
def test_an_edit_of_a_seal_is_named(ten, column):
    value = {
        "version": 1,
        "key_id": "other.00000000",
        "prev": b"p" * 32,
        "mac": b"m" * 32,
        "sealed_at": "2026-01-01 00:00:00",
    }[column]
    execute(f"UPDATE audit_eventseal SET {column} = %s WHERE seq = 5", value)
    codes = {code for code, _ in found()}
    assert codes
    assert codes <= {"edited", "forged", "key_missing"}


NULLABLE = ["version", "key_id", "prev", "mac", "sealed_at"]


@pytest.mark.postgresql
@pytest.mark.parametrize("number", [5, 10])
@pytest.mark.parametrize("column", NULLABLE)
def test_a_seal_emptied_by_the_owner_of_the_schema_is_named_and_sealing_goes_on(
    ten, column, number
):
    execute(f"ALTER TABLE audit_eventseal ALTER {column} DROP NOT NULL")
    kept = EventSeal.objects.values_list(column, flat=True).get(seq=number)
    execute(f"UPDATE audit_eventseal SET {column} = NULL WHERE seq = %s", number)
    happened([timezone.now()])
    sealer.catch_up(now=timezone.now())
    report = looked()
    assert number in {violation.number for violation in report.violations}
    assert EventSeal.objects.order_by("-seq").first().seq > 10
    execute(f"UPDATE audit_eventseal SET {column} = %s WHERE seq = %s", kept, number)
    execute(f"ALTER TABLE audit_eventseal ALTER {column} SET NOT NULL")


@pytest.mark.postgresql
@pytest.mark.parametrize("column", [c for c in FIELDS if c not in {"id", "ip", "attestation"}])
def test_a_column_of_an_event_emptied_by_the_owner_of_the_schema_is_named(ten, column):
    execute(f"ALTER TABLE audit_securityevent ALTER {column} DROP NOT NULL")
    execute(
        f"UPDATE audit_securityevent SET {column} = NULL WHERE id = %s",
        key_of(5),
    )
    assert found() == [("edited", 5)]
    execute("DELETE FROM audit_securityevent")
    execute(f"ALTER TABLE audit_securityevent ALTER {column} SET NOT NULL")
