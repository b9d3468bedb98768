"""Drills: restore into a scratch database, and let every app say whether its data is whole."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models import Max
from django.utils import timezone

from backups import events, keys, leases, opening, scratch, targets, times
from backups.conf import settings
from backups.drill_files import FilesOfABackup
from backups.dumpers import postgresql_state
from backups.dumpers.connection import connect
from backups.errors import BackupNotFound
from backups.models import Backup, Copy, Drill, State, StoredFile
from backups.models.copy import CopyState
from backups.models.run import LONGEST_FAILURE
from backups.services import running
from backups.services.verifying import good_backup, require_identity
from garrison import drills as registry
from garrison.errors import Refusal
from garrison.events import emit

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from backups.leases import Held
    from backups.opening import Opened

logger = logging.getLogger("backups")


def request_drill(
    *,
    backup_id: uuid.UUID | str | None = None,
    slot: datetime | None = None,
    user: Any = None,
    now: datetime,
) -> Drill:
    """Put a drill into the queue, of a certain backup or of the newest good one."""
    backup = good_backup(backup_id) if backup_id else None
    return Drill.objects.create(backup=backup, slot=slot, requested_by=user, queued_at=now)


def queue_due_drill(*, now: datetime) -> Drill | None:
    """Queue this week's drill unless it is there; only where an identity is.

    A drill that has found something is not tried again: what it found stands.
    """
    if not (settings.identity_file and Backup.objects.with_database().good().exists()):
        return None
    slot = times.latest_weekly(
        now=now,
        weekday=settings.drill_weekday,
        hour=settings.drill_hour,
        zone=timezone.get_default_timezone(),
    )
    return running.queue_slot(
        Drill.objects.filter(findings=[]), slot, lambda: request_drill(slot=slot, now=now)
    )


def drill_now(*, backup_id: uuid.UUID | str | None = None, now: datetime) -> Drill:
    """Request a drill and do it here."""
    require_identity()
    return run_drill(drill_id=request_drill(backup_id=backup_id, now=now).pk, now=now)


def run_drill(*, drill_id: uuid.UUID, now: datetime) -> Drill:
    """Do one queued drill under its lease.

    A drill that finds something wrong is failed, with its findings, and returns; one that cannot be
    done at all is failed, too, and raises. The scratch database is always dropped.
    """
    require_identity()
    drills, sweep = Drill.objects.all(), partial(scratch.sweep, settings.database)
    with running.claimed(drills, drill_id, lease=leases.DRILL, clean_up=sweep, now=now) as (
        drill,
        held,
    ):
        try:
            _drill(drill, held, now)
        except BaseException as failure:
            running.record_failure(drills, drill, held, failure, kind=events.DRILL_FAILED)
            raise
    drill.refresh_from_db()
    return drill


def _drill(drill: Drill, held: Held, now: datetime) -> None:
    backup = drill.backup or _newest_with_database()
    copy = _copy_whose_turn_it_is(backup)
    name = scratch.name_for(settings.database, drill.pk.hex)
    Drill.objects.change(
        drill.pk, owner=held.owner, backup=backup, target=copy.target, scratch=name
    )
    began = time.monotonic()
    opened = opening.open_backup(
        targets.target(copy.target),
        backup.folder,
        keys.identities() if backup.recipients else [],
        sha256=backup.manifest_sha256,
    )
    findings = _findings(opened, name)
    held.require_now()
    seconds = time.monotonic() - began
    _end(drill, backup, held, findings, seconds=seconds, now=now)


def _copy_whose_turn_it_is(backup: Backup) -> Copy:
    """Return the copy on the target whose last drill is longest ago: each is proven in its turn."""
    copies = backup.copies.filter(state=CopyState.GOOD, target__in=settings.targets)
    done = Drill.objects.exclude(ended_at=None).order_by().values_list("target")
    last = dict(done.annotate(at=Max("ended_at")))
    never = datetime.min.replace(tzinfo=UTC)
    chosen = min(copies, key=lambda copy: (last.get(copy.target, never), copy.target), default=None)
    if chosen is None:
        raise BackupNotFound(f"Backup {backup} has no good copy left to drill.")
    return chosen


def _newest_with_database() -> Backup:
    found = Backup.objects.with_database().good().order_by("-snapshot_at").first()
    if found is None:
        raise BackupNotFound("There is no good backup of a database to drill.")
    return found


Found = dict[str, Any]


def _found(name: str, is_whole: bool, looked_at: int, detail: str) -> Found:  # noqa: FBT001
    return {"name": name, "is_whole": is_whole, "looked_at": looked_at, "detail": detail[:500]}


def _findings(opened: Opened, name: str) -> list[Found]:
    described = opened.manifest.database
    rows = described.rows if described else 0
    try:
        with scratch.restored(opened, source=settings.database, name=name) as alias:
            files = FilesOfABackup.of(opened)
            return [
                _database(opened, alias),
                _migrations(opened, alias),
                *_files(files, opened.target.alias),
                *_registered(registry.Restored(using=alias, files=files)),
            ]
    except Refusal as refusal:
        return [_found("database", False, rows, refusal.detail)]


def _database(opened: Opened, alias: str) -> Found:
    """Tell of the rows, which the restore has compared, and compare large objects byte by byte."""
    described = opened.manifest.database
    tables, rows = (len(described.tables), described.rows) if described else (0, 0)
    if described and described.engine == "postgresql":
        with connect(alias) as session:
            if postgresql_state.large_objects(session) != described.large_objects:
                return _found("database", False, rows, "The contents of large objects differ.")
    told = f"{tables} tables restored; every row count and checksum is the manifest's."
    return _found("database", True, rows, told)


def _migrations(opened: Opened, alias: str) -> Found:
    from django.db.migrations.executor import MigrationExecutor
    from django.db.migrations.recorder import MigrationRecorder

    expected = {tuple(each) for each in opened.manifest.database.migrations}  # type: ignore[union-attr]
    applied = set(MigrationRecorder(connections[alias]).applied_migrations())
    if applied != expected:
        return _found("migrations", False, len(applied), "The applied migrations differ.")
    executor = MigrationExecutor(connections[alias])
    executor.loader.check_consistent_history(connections[alias])
    waiting = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    told = f"State equal to the manifest's; {waiting} migrations of this code to apply."
    return _found("migrations", True, len(applied), told)


def _files(files: FilesOfABackup | None, target: str) -> Iterator[Found]:
    if files is None:
        return
    lost = files.damaged()
    StoredFile.objects.forget({entry.blob for entry in lost}, target=target)
    shown = ", ".join(entry.shown_path for entry in lost[:5])
    told = f"{len(lost)} not whole: {shown}" if lost else "Every file was read; all hashes equal."
    yield _found("files", not lost, len(files), told)


def _registered(restored: registry.Restored) -> Iterator[Found]:
    """Run what the apps brought; one that raises is broken, and the others still run."""
    for name, check in registry.DRILLS.items():
        try:
            finding = check(restored)
        except Exception as failure:
            logger.exception("Drill %s failed.", name)
            yield _found(name, False, 0, f"It raised {type(failure).__name__}.")
        else:
            yield _found(name, finding.is_whole, finding.looked_at, finding.detail)


def _end(  # noqa: PLR0913 - the result, by keyword
    drill: Drill,
    backup: Backup,
    held: Held,
    findings: list[Found],
    *,
    seconds: float,
    now: datetime,
) -> None:
    broken = [each for each in findings if not each["is_whole"]]
    age = (now - backup.snapshot_at).total_seconds() if backup.snapshot_at else 0.0
    ended = Drill.objects.change(
        drill.pk,
        owner=held.owner,
        state=State.FAILED if broken else State.GOOD,
        ended_at=timezone.now(),
        rto_seconds=seconds,
        rpo_seconds=max(0.0, age),
        findings=findings,
        failure="; ".join(f"{each['name']}: {each['detail']}" for each in broken)[:LONGEST_FAILURE],
    )
    if not ended:
        return
    Backup.objects.filter(pk=backup.pk).update(opened_at=now)
    if not broken:
        Backup.objects.filter(pk=backup.pk).update(drilled_at=now)
    emit(
        events.DRILL_FAILED if broken else events.DRILL_PASSED,
        target=f"backup:{backup.pk}",
        data={
            "drill": str(drill.pk),
            "rto_seconds": round(seconds, 3),
            "rpo_seconds": round(age, 3),
            "checks": {each["name"]: each["is_whole"] for each in findings},
        },
    )
