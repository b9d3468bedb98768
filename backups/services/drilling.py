"""Drills: restore into a scratch database, and let every app check its own data."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Max
from django.utils import timezone

from backups import databases, events, keys, leases, opening, scratch, targets, times
from backups.conf import settings
from backups.databases import MAIN
from backups.drill_files import BackupFiles
from backups.dumpers import postgresql_state
from backups.dumpers.connection import connect
from backups.errors import BackupDamaged, BackupNotFound, FilesDamaged
from backups.models import Backup, Copy, Drill, State
from backups.models.backup import CopyState
from backups.models.run import LONGEST_FAILURE
from backups.services import running
from backups.services.verifying import good_backup, mark_damaged, require_identity
from garrison.drills import DRILLS, DrillResult, Restored
from garrison.errors import Refusal

if TYPE_CHECKING:
    import uuid

    from backups.leases import HeldLease
    from backups.manifest import DatabaseState
    from backups.opening import OpenedBackup
    from garrison.drills import Drill as DrillCheck

logger = logging.getLogger("backups")


def request_drill(
    *,
    backup_id: uuid.UUID | str | None = None,
    slot: datetime | None = None,
    user: Any = None,
    now: datetime,
) -> Drill:
    """Put a drill into the queue, of a certain backup or of the newest good one."""
    backup = good_backup(backup_id, now=now) if backup_id is not None else None
    return Drill.objects.create(backup=backup, slot=slot, requested_by=user, queued_at=now)


def queue_due_drill(*, now: datetime) -> Drill | None:
    """Queue this week's drill unless it is there; only where an identity is.

    A drill that has found something is not tried again: what it found stands.
    """
    if not (settings.identity_file and Backup.objects.with_database().good().exists()):
        return None
    when = {"weekday": settings.drill_weekday, "hour": settings.drill_hour}
    slot = times.latest_weekly(now=now, zone=timezone.get_default_timezone(), **when)
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
    drills = Drill.objects.all()
    doing = running.claimed(drills, drill_id, lease=leases.DRILL, clean_up=_sweep, now=now)
    with doing as (drill, held):
        _drill(drill, held)
    return drill


def _sweep() -> None:
    for alias in databases.sources().values():
        scratch.sweep(alias)


def _drill(drill: Drill, held: HeldLease) -> None:
    backup = drill.backup or _newest_with_database()
    copy = _copy_whose_turn_it_is(backup)
    name = scratch.name_for(settings.databases[0], drill.pk.hex)
    Drill.objects.change(
        drill.pk, owner=held.owner, backup=backup, target=copy.target, scratch=name
    )
    began = time.monotonic()
    try:
        opened = opening.open_backup(
            targets.target(copy.target),
            backup.folder,
            keys.identities() if backup.recipients else [],
            sha256=backup.manifest_sha256,
        )
    except BackupDamaged as refusal:
        mark_damaged(backup, copy, refusal, by_opening=True)
        raise
    damage: list[BackupDamaged] = []
    found = _findings(opened, drill.pk.hex, damage)
    for each in damage:
        mark_damaged(backup, copy, each, by_opening=True)
    held.require_now()
    _end(drill, backup, held, found, time.monotonic() - began)


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
    found = Backup.objects.with_database().newest_good(now=timezone.now())
    if found is None:
        raise BackupNotFound("There is no good backup of a database to drill.")
    return found


def _findings(
    opened: OpenedBackup, run: str, damage: list[BackupDamaged]
) -> dict[str, DrillResult]:
    """Restore each database, and run every check: ours, and then what the apps brought.

    The apps' checks look at the main one. ``damage`` is added to.
    """
    found: dict[str, DrillResult] = {}
    for part, source in databases.destinations(opened.manifest).items():
        described, name = opened.manifest.databases[part], scratch.name_for(source, run)
        try:
            with scratch.restored(opened, what=part, source=source, name=name) as alias:
                results = {
                    part: _database(described, alias),
                    part.replace(MAIN, "migrations"): _migrations(described, alias),
                }
                found |= results | (_of_apps(opened, alias, damage) if part == MAIN else {})
        except Refusal as refusal:
            damage += [refusal] if isinstance(refusal, BackupDamaged) else []
            found[part] = DrillResult(
                is_whole=False, looked_at=described.rows, detail=refusal.detail
            )
    return found


def _of_apps(
    opened: OpenedBackup, alias: str, damage: list[BackupDamaged]
) -> dict[str, DrillResult]:
    files = BackupFiles.of(opened)
    restored = Restored(using=alias, files=files)
    return {
        **({} if files is None else {"files": _files(files, damage)}),
        **{what: _checked(what, check, restored) for what, check in DRILLS.items()},
    }


def _checked(what: str, check: DrillCheck, restored: Restored) -> DrillResult:
    """Run what an app brought; if it raises it is broken, and the others still run."""
    try:
        return check(restored)
    except Exception as failure:
        logger.exception("Drill %s failed.", what)
        return DrillResult(
            is_whole=False, looked_at=0, detail=f"It raised {type(failure).__name__}."
        )


def _database(described: DatabaseState, alias: str) -> DrillResult:
    """Report the rows, which the restore has compared, and compare large objects byte by byte."""
    tables, rows = len(described.tables), described.rows
    if described.engine == "postgresql":
        with connect(alias) as session:
            if postgresql_state.large_objects(session) != described.large_objects:
                return DrillResult(
                    is_whole=False, looked_at=rows, detail="The contents of large objects differ."
                )
    detail = f"{tables} tables restored; every row count and checksum is the manifest's."
    return DrillResult(is_whole=True, looked_at=rows, detail=detail)


def _migrations(described: DatabaseState, alias: str) -> DrillResult:
    """Compare the migrations by the classes behind ``migrate --plan``, which itself only prints."""
    expected = {tuple(each) for each in described.migrations}
    connection = connections[alias]
    applied = set(MigrationRecorder(connection).applied_migrations())
    if applied != expected:
        detail = "The applied migrations differ."
        return DrillResult(is_whole=False, looked_at=len(applied), detail=detail)
    executor = MigrationExecutor(connection)
    executor.loader.check_consistent_history(connection)
    waiting = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    detail = f"State equal to the manifest's; {waiting} migrations of this code to apply."
    return DrillResult(is_whole=True, looked_at=len(applied), detail=detail)


def _files(files: BackupFiles, damage: list[BackupDamaged]) -> DrillResult:
    lost = files.damaged()
    shown = ", ".join(entry.shown_path for entry in lost[:5])
    detail = f"{len(lost)} not whole: {shown}" if lost else "Every file was read; all hashes equal."
    damage += [FilesDamaged(detail, [entry.blob for entry in lost])] if lost else []
    return DrillResult(is_whole=not lost, looked_at=len(files), detail=detail)


def _end(
    drill: Drill, backup: Backup, held: HeldLease, found: dict[str, DrillResult], seconds: float
) -> None:
    now = timezone.now()
    began_at = drill.started_at or now
    broken = [what for what, result in found.items() if not result.is_whole]
    age = (began_at - backup.snapshot_at).total_seconds() if backup.snapshot_at else 0.0
    failure = "; ".join(f"{what}: {found[what].detail[:500]}" for what in broken)
    ended = Drill.objects.change(
        drill.pk,
        owner=held.owner,
        state=State.FAILED if broken else State.GOOD,
        ended_at=now,
        rto_seconds=seconds,
        rpo_seconds=max(0.0, age),
        findings=[
            {"name": what, **asdict(result), "detail": result.detail[:500]}
            for what, result in found.items()
        ],
        failure=failure[:LONGEST_FAILURE],
    )
    if not ended:
        return
    proven = {"opened_at": began_at} | ({} if broken else {"drilled_at": began_at})
    Backup.objects.filter(pk=backup.pk).update(**proven)
    backup.emit(
        events.DRILL_FAILED if broken else events.DRILL_PASSED,
        drill=str(drill.pk),
        rto_seconds=round(seconds, 3),
        rpo_seconds=round(age, 3),
        checks={what: result.is_whole for what, result in found.items()},
    )
