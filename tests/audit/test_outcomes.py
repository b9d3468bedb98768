"""What failed is stored, sealed and logged as a failure; what version 1 sealed still holds."""

import base64
import json
import logging
from datetime import datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management.color import no_style
from django.db import IntegrityError, connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone

from audit import append_only, rollups
from audit.checkpoints import writing
from audit.checkpoints.signing import from_row
from audit.drills import chain_verifies
from audit.models import Checkpoint, EventCount, EventSeal, SecurityEvent
from audit.sealing import sealer
from audit.sealing.encoding import FIELDS, OUTCOMES_OF_VERSION_1, VERSION
from backups.events import BACKUP_FAILED
from garrison import events
from garrison.drills import Restored
from sessions_tracking.services import start_token_session
from tests.architecture.house import ROOT
from tests.audit.attacks import command, execute, found, looked

# Made by the code before outcome and delivery were two things: every kind of then, sealed and
# signed, and one failed backup that was not sealed yet.
CHAIN = json.loads((ROOT / "tests/audit/chain_sealed_by_version_1.json").read_text())
MIGRATION = import_module("audit.migrations.0003_outcomes_and_readers")
ATTESTATION = import_module("audit.migrations.0004_attestation")
UNCHANGED = {"id", "ip", "attestation"}  # of the last, version 1 knew nothing
APPLIED = ("audit", "0003_outcomes_and_readers")


def rows(model, table):
    """Make rows as they stand in the file."""
    instants = {"at", "sealed_at"} & {field.attname for field in model._meta.concrete_fields}
    for row in CHAIN[table]:
        known = row | {name: datetime.fromisoformat(row[name]) for name in instants}
        for name in ("prev", "mac", "signature"):
            if name in known:
                known[name] = bytes.fromhex(known[name])
        yield model(**known)


def migrate(step):
    """Run one direction of the migration, as ``migrate`` does: in one transaction."""
    with connection.schema_editor(atomic=True) as editor:
        step(None, editor)


def record(*, applied):
    recorder = MigrationRecorder(connection)
    (recorder.record_applied if applied else recorder.record_unapplied)(*APPLIED)


@pytest.fixture
def keys(settings):
    settings.AUDIT_KEYS = [CHAIN["sealed_with"]]
    settings.AUDIT_CHECKPOINT_KEYS = [CHAIN["signed_with"]]


@pytest.fixture
def old(protected, keys):
    """A database before the migration."""
    SecurityEvent.objects.bulk_create(rows(SecurityEvent, "events"))
    execute("UPDATE audit_securityevent SET attestation = NULL")
    EventSeal.objects.bulk_create(rows(EventSeal, "seals"))
    Checkpoint.objects.bulk_create(rows(Checkpoint, "checkpoints"))
    for statement in connection.ops.sequence_reset_sql(no_style(), [Checkpoint]):
        execute(statement)
    rollups.catch_up(now=SecurityEvent.objects.first().at + timedelta(hours=1))
    record(applied=False)
    yield
    record(applied=True)


@pytest.fixture
def migrated(old):
    """The same database after it, and after the one by which events are attested."""
    migrate(MIGRATION.forwards)
    with connection.schema_editor() as editor:
        ATTESTATION.note(apps, editor)
    record(applied=True)


def outcomes(model=SecurityEvent):
    failures = model.objects.filter(kind__in=OUTCOMES_OF_VERSION_1)
    return dict(failures.values_list("kind", "outcome"))


def test_an_old_chain_verifies_before_it_is_migrated(old):
    assert looked().violations[1:] == []
    assert found() == [("unsealed", None)]
    assert outcomes() == OUTCOMES_OF_VERSION_1


def test_the_migration_calls_failures_by_their_name_and_every_old_seal_verifies(migrated):
    names = dict.fromkeys(OUTCOMES_OF_VERSION_1, "failure")
    assert outcomes() == outcomes(EventCount) == names
    signed = [from_row(row) for row in Checkpoint.objects.all()]
    report = looked(checkpoints=signed)
    assert [violation.code for violation in report.violations] == ["unsealed"]
    assert report.checkpoints == 1
    assert report.looked_at == len(CHAIN["seals"])


def test_what_was_not_sealed_yet_is_sealed_by_the_new_format_and_the_chain_goes_on(migrated):
    sealer.catch_up(now=SecurityEvent.objects.first().at + timedelta(minutes=5))
    newest = EventSeal.objects.get(event__kind="backups.backup.failed", version=VERSION)
    assert newest.seq == len(CHAIN["seals"]) + 1
    assert looked().verdict == "whole"
    writing.write(stream="main", now=timezone.now())
    assert command()[0] == 0
    assert chain_verifies(Restored(using="default", files=None)).is_whole


def test_every_count_is_kept(migrated):
    events_of = SecurityEvent.objects.filter(kind="backups.backup.failed").count()
    hours = EventCount.objects.filter(kind="backups.backup.failed", period=EventCount.HOUR)
    assert [hour.count for hour in hours] == [events_of] == [2]


@pytest.mark.parametrize("outcome", ["success", "refused", ""])
def test_another_outcome_than_the_migrated_one_is_an_edit(migrated, outcome):
    edited = EventSeal.objects.filter(event__outcome="failure").order_by("seq")
    expected = [("edited", seq) for seq in edited.values_list("seq", flat=True)]
    assert len(expected) >= len(OUTCOMES_OF_VERSION_1)
    execute("UPDATE audit_securityevent SET outcome = %s WHERE outcome = 'failure'", outcome)
    assert found()[: len(expected)] == expected


@pytest.mark.parametrize("column", [name for name in FIELDS if name not in UNCHANGED])
def test_any_other_edit_of_a_migrated_event_is_named(migrated, column):
    value = {"severity": 1, "at": "2026-01-01 00:00:00", "data": '{"n": 77}'}.get(column, "edited")
    seal = EventSeal.objects.get(event__kind="backups.drill.failed")
    execute(
        f"UPDATE audit_securityevent SET {column} = %s WHERE kind = 'backups.drill.failed'", value
    )
    assert ("edited", seal.seq) in found()


def test_a_new_seal_cannot_be_passed_off_as_an_old_one(migrated):
    sealer.catch_up(now=SecurityEvent.objects.first().at + timedelta(minutes=5))
    last = EventSeal.objects.get(event__kind="backups.backup.failed", version=VERSION)
    execute("UPDATE audit_eventseal SET version = 1 WHERE seq = %s", last.seq)
    assert [number for _, number in found()] == [last.seq]


def test_the_migration_can_be_undone_and_done_again(migrated):
    migrate(MIGRATION.backwards)
    record(applied=False)
    assert outcomes() == outcomes(EventCount) == OUTCOMES_OF_VERSION_1
    assert found() == [("unsealed", None)]
    migrate(MIGRATION.forwards)
    record(applied=True)
    assert set(outcomes().values()) == set(outcomes(EventCount).values()) == {"failure"}
    assert found() == [("unsealed", None)]


def test_the_way_back_leaves_what_was_sealed_as_a_failure(migrated):
    sealer.catch_up(now=SecurityEvent.objects.first().at + timedelta(minutes=5))
    migrate(MIGRATION.backwards)
    newest = SecurityEvent.objects.get(kind="backups.backup.failed", seal__version=VERSION)
    assert newest.outcome == "failure"
    migrate(MIGRATION.forwards)
    assert looked().verdict == "whole"


def test_evidence_is_as_protected_after_the_migration_as_before(migrated):
    assert append_only.missing(connection) == []
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        connection.cursor().execute("UPDATE audit_securityevent SET outcome = 'success'")


def test_a_migration_that_fails_leaves_the_protection(old, monkeypatch):
    monkeypatch.setattr(MIGRATION, "COUNTED", "DELETE FROM nowhere WHERE kind = %s OR %s = ''")
    with pytest.raises(Exception, match="nowhere"):
        migrate(MIGRATION.forwards)
    assert append_only.missing(connection) == []
    assert outcomes() == OUTCOMES_OF_VERSION_1


def test_a_failed_backup_is_a_failure_in_table_seal_and_log(protected, keys, caplog):
    with caplog.at_level(logging.INFO, "garrison.audit"), transaction.atomic():
        events.emit(BACKUP_FAILED, target="backup:1")
    assert json.loads(caplog.messages[-1])["outcome"] == "failure"
    row = SecurityEvent.objects.get(kind="backups.backup.failed")
    assert row.outcome == "failure"
    for seconds in (1, 2):  # the second pass seals what the first one reported: a key was adopted
        sealer.catch_up(now=row.at + timedelta(seconds=seconds))
    assert row.seal.version == VERSION
    execute("UPDATE audit_securityevent SET outcome = 'success'")
    assert found()[0] == ("edited", row.seal.seq)


def test_a_failed_backup_is_a_failure_in_the_api_and_in_the_admin_s_filter(protected, admin_client):
    events.emit(BACKUP_FAILED, target="backup:1")
    user = get_user_model().objects.get(is_superuser=True)
    access = start_token_session(user=user, amr=["pwd"]).access
    path = "/api/security/events?kind=backups.backup.failed"
    answer = Client().get(path, headers={"Authorization": f"Bearer {access}"}).json()
    assert [event["outcome"] for event in answer["results"]] == ["failure"]
    page = admin_client.get("/admin/audit/securityevent/?outcome__exact=failure").content.decode()
    assert "backups.backup.failed" in page
    assert "sessions.session" not in page.partition("result_list")[2]


def test_the_fixture_holds_every_kind_of_then():
    assert {row["kind"]: row["outcome"] for row in CHAIN["events"]}.items() >= (
        OUTCOMES_OF_VERSION_1.items()
    )
    assert {row["version"] for row in CHAIN["seals"]} == {1}
    assert len(base64.b64decode(CHAIN["sealed_with"].partition(":")[2])) == 32
