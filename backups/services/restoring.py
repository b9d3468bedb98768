"""Carrying a plan out: refusals before anything is touched, and all or nothing."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from backups import events, leases, verification
from backups.conf import settings
from backups.errors import DatabaseNotEmpty
from backups.models import Lease
from backups.models.backup import Content, Kind
from backups.restore import postgresql, sqlite, staging
from backups.services import indexing
from backups.services.backing_up import backup_now
from garrison.errors import Refusal
from garrison.events import emit

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from backups.services.planning import RestorePlan
    from garrison.events import EventKind


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
        if indexing.exists():
            emit(
                events.RESTORE_REFUSED,
                target=f"database:{plan.database_name}",
                data={"folder": plan.opened.folder, "why": refusal.detail[:500]},
            )
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
    with ExitStack() as stack:
        if indexing.exists():
            stack.enter_context(leases.hold(leases.BACKUP, now=now))
            _emit(events.RESTORE_STARTED, plan)
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
            _load(plan)
    except BaseException:
        if staged is not None:
            staged.discard()
        raise
    if staged is not None:
        staged.swap()
    return staged


def _load(plan: RestorePlan) -> None:
    using = settings.database
    if connections[using].vendor == "postgresql":
        postgresql.load(plan.opened, using=using, clear=not plan.database_is_empty)
    else:
        sqlite.load(plan.opened, using=using)


def _emit(kind: EventKind, plan: RestorePlan) -> None:
    emit(
        kind,
        target=f"database:{plan.database_name}",
        data={"folder": plan.opened.folder, "content": str(plan.content)},
    )


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
        _emit(events.RESTORE_COMPLETED, plan)


def unapplied_migrations(using: str) -> tuple[str, ...]:
    """Name the migrations that this code has and the database has not."""
    try:
        executor = MigrationExecutor(connections[using])
        steps = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return ()
    return tuple(f"{migration.app_label}.{migration.name}" for migration, _backwards in steps)
