"""Carrying a plan out: refusals before anything is touched, and all or nothing."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from backups import events, leases, verification
from backups.databases import MAIN
from backups.errors import DatabaseNotEmpty, RestoreIncomplete
from backups.models import Lease
from backups.models.backup import Content, Kind
from backups.restore import postgresql, sqlite, staging
from backups.services import indexing
from backups.services.backing_up import backup_now
from garrison.errors import Refusal
from garrison.events import emit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from backups.opening import OpenedBackup
    from backups.services.planning import PlannedDatabase, RestorePlan
    from garrison.events import EventKind


@dataclass(frozen=True)
class RestoreResult:
    """What a restore has done; ``unapplied`` are the migrations that wait, by alias."""

    rows: int
    files: int
    kept_files: tuple[str, ...]
    safety_backup: str
    unapplied: dict[str, tuple[str, ...]]


def restore(
    plan: RestorePlan,
    *,
    confirm: Collection[str] = (),
    now: datetime,
    on_step: Callable[[str], None] = lambda _text: None,
) -> RestoreResult:
    """Carry a plan out.

    Refuses a database that is not empty unless its name is in ``confirm``; then verifies the whole
    backup, makes the safety backup, and only then touches anything. A failure up to the commit
    leaves the database and the files as they were; of several databases each has its own commit,
    and a failure names those that are restored.
    """
    try:
        return _restore(plan, confirm, now, on_step)
    except Refusal as refusal:
        _emit(events.RESTORE_REFUSED, plan, why=refusal.detail[:500])
        raise


def _restore(
    plan: RestorePlan, confirm: Collection[str], now: datetime, on_step: Callable[[str], None]
) -> RestoreResult:
    for name in plan.to_confirm:
        if name not in confirm:
            raise DatabaseNotEmpty(
                f"The database {name!r} holds data, all of which would be replaced. "
                f"To go on, give --confirm-database {name}."
            )
    if plan.content != Content.DATABASE:
        staging.require_known_storages(plan.opened)
    on_step("verifying")
    verification.verify_opened(plan.opened)
    safety = ""
    if plan.to_confirm and plan.safety and indexing.exists():
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
        done: list[str] = []
        for each in plan.databases:
            on_step("database")
            with _naming(each, done):
                _load(plan.opened, each)
            done.append(each.alias)
    except BaseException:
        if staged is not None:
            staged.discard()
        raise
    if staged is not None:
        staged.swap()
    return staged


@contextmanager
def _naming(each: PlannedDatabase, done: list[str]) -> Iterator[None]:
    """Say of a failure which databases were restored before it, if any."""
    try:
        yield
    except Exception as failure:
        if not done:
            raise
        why = failure.detail if isinstance(failure, Refusal) else type(failure).__name__
        raise RestoreIncomplete(
            f"The database {each.alias!r} and the files are as before: {why} Restored before it: "
            f"{', '.join(done)}. Mend the cause, and restore again."
        ) from failure


def _load(opened: OpenedBackup, into: PlannedDatabase) -> None:
    if connections[into.alias].vendor == "postgresql":
        postgresql.load(opened, what=into.what, using=into.alias, clear=not into.is_empty)
    else:
        sqlite.load(opened, what=into.what, using=into.alias)


def _emit(kind: EventKind, plan: RestorePlan, **data: str) -> None:
    if indexing.exists():
        emit(kind, target=plan.target, data={"folder": plan.opened.folder, **data})


def _finished(
    plan: RestorePlan, staged: staging.StagedFiles | None, safety: str, now: datetime
) -> RestoreResult:
    described = plan.opened.manifest.databases
    unapplied: dict[str, tuple[str, ...]] = {}
    for each in plan.databases:
        connections[each.alias].close()  # it may hold plans for tables that are gone
        # Where nobody has ever migrated, as in some other program's database, nothing waits.
        if each.what == MAIN or described[each.what].migrations:
            unapplied |= {each.alias: unapplied_migrations(each.alias)}
    unapplied = {alias: waiting for alias, waiting in unapplied.items() if waiting}
    try:
        _rebuild_index(plan, now)
    except DatabaseError:
        if not unapplied:
            raise  # otherwise these tables are of an earlier release, and migrate comes first
    return RestoreResult(
        rows=sum(described[each.what].rows for each in plan.databases),
        files=staged.count if staged else 0,
        kept_files=tuple(staged.replaced) if staged else (),
        safety_backup=safety,
        unapplied=unapplied,
    )


def _rebuild_index(plan: RestorePlan, now: datetime) -> None:
    if indexing.exists():
        if any(each.what == MAIN for each in plan.databases):
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
