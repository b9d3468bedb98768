"""What happened stays as it was: in Python, and in the database for whoever comes past Python."""

import io
import json
from datetime import timedelta

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, connections, transaction
from django.utils import timezone

from audit import append_only, health
from audit.checkpoints import writing
from audit.checks import E002, check_triggers
from audit.errors import EvidenceIsAppendOnly
from audit.models import Checkpoint, EventSeal, SecurityEvent
from audit.sealing import sealer
from garrison.errors import ConfigurationError
from garrison.health import Status
from tests.audit.happenings import NOON, happened

UPSERT = """
INSERT INTO audit_securityevent SELECT * FROM audit_securityevent WHERE true
ON CONFLICT (id) DO UPDATE SET kind = 'x'
"""


@pytest.mark.parametrize(
    "change",
    [
        lambda event: event.save(),
        lambda event: event.delete(),
        lambda event: SecurityEvent.objects.update(kind="tests.trace.gone"),
        lambda event: SecurityEvent.objects.filter(pk=event.pk).delete(),
        lambda event: SecurityEvent.objects.filter(pk=event.pk)._raw_delete("default"),
        lambda event: SecurityEvent.objects.bulk_update([event], ["kind"]),
        lambda event: SecurityEvent.objects.bulk_create(
            [event], update_conflicts=True, update_fields=["kind"], unique_fields=["id"]
        ),
        lambda event: SecurityEvent.objects.update_or_create(pk=event.pk, defaults={"kind": "x"}),
    ],
)
@pytest.mark.django_db
def test_python_refuses_with_a_sentence(change):
    (event,) = happened([NOON])
    event = SecurityEvent.objects.get(pk=event.pk)
    with pytest.raises(EvidenceIsAppendOnly, match="added and never changed"):
        change(event)
    assert SecurityEvent.objects.get().kind == "tests.door.opened"


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_securityevent SET actor_label = 'nobody'",
        "DELETE FROM audit_securityevent",
        pytest.param("TRUNCATE audit_securityevent", marks=pytest.mark.postgresql),
        pytest.param("TRUNCATE audit_securityevent CASCADE", marks=pytest.mark.postgresql),
        UPSERT,
    ],
)
def test_the_database_refuses_whoever_comes_past_python(protected, sql):
    happened([NOON, timezone.now() - timedelta(days=400)])
    before = list(SecurityEvent.objects.values())
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
    assert list(SecurityEvent.objects.values()) == before


def test_retention_may_remove_what_is_old_and_nothing_else(protected):
    now = timezone.now()
    old, young = now - timedelta(days=8), now - timedelta(days=6)
    happened([old, young])
    with append_only.door_open(connection), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_securityevent WHERE at < %s", [now - timedelta(days=7)])
    assert [event.at for event in SecurityEvent.objects.all()] == [young]
    for sql in ("DELETE FROM audit_securityevent", "UPDATE audit_securityevent SET kind = 'x'"):
        with (
            pytest.raises(IntegrityError),
            append_only.door_open(connection),
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)
    assert SecurityEvent.objects.count() == 1


def test_the_door_is_shut_again_behind_retention(protected):
    happened([timezone.now() - timedelta(days=30)])
    with append_only.door_open(connection):
        pass
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_securityevent")


@pytest.mark.postgresql
def test_the_door_is_open_to_its_own_transaction_only(protected):
    happened([timezone.now() - timedelta(days=30)])
    elsewhere = connection.copy()
    try:
        with (
            append_only.door_open(connection),
            pytest.raises(IntegrityError),
            elsewhere.cursor() as cursor,
        ):
            cursor.execute("DELETE FROM audit_securityevent")
    finally:
        elsewhere.close()
    assert SecurityEvent.objects.count() == 1


def remove_a_trigger():
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "ALTER TABLE audit_securityevent DISABLE TRIGGER audit_securityevent_no_change"
            )
        else:
            cursor.execute("DROP TRIGGER audit_securityevent_no_update")


def test_a_trigger_that_is_gone_is_found_and_put_back(protected):
    assert append_only.missing(connection) == []
    assert check_triggers(None, databases=["default"]) == []
    remove_a_trigger()
    (error,) = check_triggers(None, databases=["default"])
    assert (error.id, error.level) == (E002, checks.ERROR)
    assert health.evidence().status is Status.UNHEALTHY
    out = io.StringIO()
    call_command("audit_protect", "--json", stdout=out)
    assert len(json.loads(out.getvalue())["restored"]) == 1
    call_command("audit_protect", stdout=out)
    assert "Nothing missing." in out.getvalue()
    happened([NOON])
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE audit_securityevent SET kind = 'x'")


def test_a_database_without_the_log_is_not_said_to_be_whole(
    monkeypatch, django_db_blocker, tmp_path
):
    name = str(tmp_path / "empty.sqlite3")  # Django closes no connection to one in memory
    empty = {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": {}}
    monkeypatch.setitem(connections.databases, "empty", connections.databases["default"] | empty)
    refused = pytest.raises(
        CommandError, match=r"'empty' \(sqlite\) holds no table of the audit log"
    )
    with django_db_blocker.unblock(), refused:
        call_command("audit_protect", database="empty")
    connections["empty"].close()
    del connections["empty"]


@pytest.mark.django_db
def test_only_a_test_database_may_be_emptied(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "NAME", "production")
    with pytest.raises(ConfigurationError, match="'production' is not a test database"):
        append_only.permit_flush(connection)


@pytest.mark.postgresql
def test_the_migration_goes_back_and_forth(protected):
    happened([NOON])
    call_command("migrate", "audit", "zero", verbosity=0)
    assert append_only.missing(connection) == []  # nothing to protect
    call_command("migrate", "audit", verbosity=0)
    assert append_only.missing(connection) == []
    happened([NOON])
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_securityevent")


@pytest.mark.postgresql
def test_seals_go_with_their_migration_and_events_stay(protected):
    happened([NOON, NOON + timedelta(seconds=1)])
    call_command("migrate", "audit", "0001", verbosity=0)
    assert SecurityEvent.objects.count() == 2
    assert append_only.missing(connection) == []
    call_command("migrate", "audit", verbosity=0)
    assert append_only.missing(connection) == []
    sealer.catch_up(now=timezone.now())
    assert EventSeal.objects.count() >= 2
    for sql in ("UPDATE audit_eventseal SET seq = seq + 9", "DELETE FROM audit_eventseal"):
        with (
            pytest.raises(IntegrityError, match="audit_eventseal is append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)


@pytest.mark.parametrize("change", [lambda row: row.save(), lambda row: row.delete()])
@pytest.mark.django_db
def test_seals_and_checkpoints_refuse_change_in_python_too(change):
    happened([NOON])
    sealer.catch_up(now=timezone.now())
    writing.write(stream="main", now=timezone.now())
    for model in (EventSeal, Checkpoint):
        with pytest.raises(EvidenceIsAppendOnly, match="added and never changed"):
            change(model.objects.first())
        with pytest.raises(EvidenceIsAppendOnly):
            model.objects.update(seq=1)
