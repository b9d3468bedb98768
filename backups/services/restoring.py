"""Restoring a backup: planned and refused before anything is touched, then all or nothing."""

from __future__ import annotations

import secrets
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from backups import events, leases, verification
from backups.conf import settings
from backups.dumpers.sqlite import path_of
from backups.errors import BackupDamaged, BackupNotFound, DatabaseNotEmpty
from backups.models import Lease
from backups.models.backup import Content, Kind
from backups.restore import postgresql, sqlite, staging
from backups.services import indexing
from backups.services.backing_up import backup_now
from garrison.errors import Refusal
from garrison.events import emit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from backups.opening import OpenedBackup
    from garrison.events import EventKind


@dataclass(frozen=True)
class RestorePlan:
    """What a restore would do, in the order in which it would do it."""

    opened: OpenedBackup
    database_name: str
    database_is_empty: bool
    content: str
    safety: bool
    lines: tuple[str, ...]

    @property
    def needs_confirmation(self) -> bool:
        """Return whether data would be replaced."""
        return self.content != Content.FILES and not self.database_is_empty


def plan(opened: OpenedBackup, *, content: str = Content.ALL, safety: bool = True) -> RestorePlan:
    """Report what a restore would do; changes nothing."""
    using = settings.database
    content = _possible(opened, content)
    vendor = _require_same_engine(opened, using, content)
    empty = postgresql.is_empty(using) if vendor == "postgresql" else sqlite.is_empty(using)
    sqlite_name = path_of(using).name if vendor == "sqlite" else ""
    name = sqlite_name or str(connections[using].settings_dict["NAME"])
    at = opened.manifest.snapshot_at
    lines = [
        f"Read backup {opened.folder} from target {opened.target.alias!r}, a snapshot of {at}.",
        "Verify every part and every file of it; refuse it, with nothing touched, if one differs.",
    ]
    if content != Content.FILES:
        lines += _database_lines(opened, name, is_empty=empty, safety=safety)
    if content != Content.DATABASE:
        lines += _file_lines(opened)
    lines.append("Rebuild the index of backups from what the targets hold.")
    return RestorePlan(opened, name, empty, content, safety, tuple(lines))


def _require_same_engine(opened: OpenedBackup, using: str, content: str) -> str:
    vendor = connections[using].vendor
    described = opened.manifest.database
    wanted = "postgresql" if vendor == "postgresql" else "sqlite"
    if content != Content.FILES and described and described.engine != wanted:
        raise BackupDamaged(
            f"The backup is of {described.engine}, and the database {using!r} is {vendor}."
        )
    return vendor


def _database_lines(
    opened: OpenedBackup, name: str, *, is_empty: bool, safety: bool
) -> Iterator[str]:
    described = opened.manifest.database
    if described is None:
        return
    if not is_empty and safety:
        yield f"Make a safety backup of the database {name!r} as it is now."
    verb = "Fill the empty database" if is_empty else "REPLACE ALL DATA in the database"
    yield (
        f"{verb} {name!r} with {len(described.tables)} tables and {described.rows} rows, in "
        "one transaction, and compare every table's rows and checksum before it is committed."
    )


def _file_lines(opened: OpenedBackup) -> Iterator[str]:
    state = opened.manifest.files
    if state is not None:
        yield (
            f"Put {state.count} files ({state.raw_bytes} bytes) into {', '.join(state.storages)}; "
            "files there now are set aside, not deleted."
        )


def _possible(opened: OpenedBackup, content: str) -> str:
    parts = opened.manifest.parts
    if content == Content.ALL and set(parts) != {"database", "files"}:
        return Content.DATABASE if "database" in parts else Content.FILES
    if str(content) != Content.ALL and str(content) not in parts:
        raise BackupNotFound(f"The backup {opened.folder} holds no {content}.")
    return content


@dataclass(frozen=True)
class RestoreResult:
    """What a restore has done."""

    rows: int
    files: int
    kept_files: tuple[str, ...]
    safety_backup: str
    unapplied: tuple[str, ...]


def restore(
    plan: RestorePlan,
    *,
    confirm_database: str = "",
    now: datetime,
    on_step: Callable[[str], None] = lambda _text: None,
) -> RestoreResult:
    """Carry a plan out.

    Refuses a database that is not empty unless its name was given; then verifies the whole backup,
    makes the safety backup, and only then touches anything. A failure up to the commit leaves the
    database and the files as they were.
    """
    try:
        return _restore(plan, confirm_database, now, on_step)
    except Refusal as refusal:
        _emit(events.RESTORE_REFUSED, plan, why=refusal.detail[:500])
        raise


def _restore(
    plan: RestorePlan, confirm: str, now: datetime, on_step: Callable[[str], None]
) -> RestoreResult:
    if plan.needs_confirmation and confirm != plan.database_name:
        raise DatabaseNotEmpty(
            f"The database {plan.database_name!r} holds data, all of which would be replaced. "
            f"To go on, give --confirm-database {plan.database_name}."
        )
    if plan.content != Content.DATABASE:
        staging.require_known_storages(plan.opened)
    on_step("verifying")
    verification.verify_opened(plan.opened)
    safety = ""
    if plan.needs_confirmation and plan.safety and indexing.exists():
        on_step("safety backup")
        safety = str(backup_now(kind=Kind.SAFETY, content=Content.DATABASE, now=now))
    with leases.hold(leases.BACKUP, now=now) if indexing.exists() else nullcontext():
        _emit(events.RESTORE_STARTED, plan, content=str(plan.content))
        staged = _replace(plan, on_step)
    on_step("index")
    return _finished(plan, staged, safety, now)


def _replace(plan: RestorePlan, on_step: Callable[[str], None]) -> staging.StagedFiles | None:
    staged = None
    if plan.content != Content.DATABASE and plan.opened.manifest.files:
        on_step("files")
        staged = staging.StagedFiles(plan.opened, secrets.token_hex(4))
        staged.prepare()
    try:
        if plan.content != Content.FILES:
            on_step("database")
            _load(plan, settings.database)
    except BaseException:
        if staged is not None:
            staged.discard()
        raise
    if staged is not None:
        staged.swap()
    return staged


def _load(plan: RestorePlan, using: str) -> None:
    if connections[using].vendor == "postgresql":
        postgresql.load(plan.opened, using=using, clear=not plan.database_is_empty)
    else:
        sqlite.load(plan.opened, using=using)


def _emit(kind: EventKind, plan: RestorePlan, **data: str) -> None:
    if indexing.exists():
        data["folder"] = plan.opened.folder
        emit(kind, target=f"database:{plan.database_name}", data=data)


def _finished(
    plan: RestorePlan, staged: staging.StagedFiles | None, safety: str, now: datetime
) -> RestoreResult:
    connections[settings.database].close()  # it may hold plans for tables that are gone
    described = plan.opened.manifest.database
    unapplied = unapplied_migrations(settings.database)
    try:
        _rebuild_index(plan, now)
    except DatabaseError:
        if not unapplied:
            raise  # otherwise these tables are of an earlier release, and migrate comes first
    return RestoreResult(
        rows=described.rows if described and plan.content != Content.FILES else 0,
        files=staged.count if staged else 0,
        kept_files=tuple(staged.replaced) if staged else (),
        safety_backup=safety,
        unapplied=unapplied,
    )


def _rebuild_index(plan: RestorePlan, now: datetime) -> None:
    if indexing.exists():
        if plan.content != Content.FILES:
            Lease.objects.release_restored()
        indexing.rebuild(identities=plan.opened.identities, now=now)
        _emit(events.RESTORE_COMPLETED, plan, content=str(plan.content))


def unapplied_migrations(using: str) -> tuple[str, ...]:
    """Name the migrations that this code has and the database has not."""
    try:
        executor = MigrationExecutor(connections[using])
        steps = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return ()
    return tuple(f"{migration.app_label}.{migration.name}" for migration, _backwards in steps)
