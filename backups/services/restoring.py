"""Restoring: a plan first, refusals before anything is touched, and all or nothing."""

from __future__ import annotations

import secrets
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connections

from backups import events, keys, leases, opening, scratch, targets, verification
from backups.conf import settings
from backups.errors import BackupDamaged, BackupNotFound, DatabaseNotEmpty
from backups.models import Backup, Lease
from backups.models.backup import Content, Kind
from backups.restore import postgresql, rescue, sqlite, staging
from backups.services import indexing
from backups.services.backing_up import backup_now
from garrison.errors import Refusal
from garrison.events import emit

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pyrage import x25519

    from backups.opening import Opened


@dataclass(frozen=True)
class Plan:
    """What a restore would do, in the order in which it would do it."""

    opened: Opened
    database_name: str
    database_is_empty: bool
    content: str
    safety: bool
    lines: tuple[str, ...]

    @property
    def needs_confirmation(self) -> bool:
        """Tell whether data would be replaced."""
        return self.content != Content.FILES and not self.database_is_empty


@dataclass(frozen=True)
class Restored:
    """What a restore has done."""

    plan: Plan
    rows: int
    files: int
    kept_files: tuple[str, ...]
    safety_backup: str
    unapplied: tuple[str, ...]
    indexed: int


def find(
    *,
    folder: str | None = None,
    target: str | None = None,
    identity_file: str | None = None,
    content: str = Content.ALL,
) -> Opened:
    """Open a backup by its folder on a target (the first that has it).

    Without a folder it is the newest that holds the wanted ``content``; one made for safety before
    a restore must be named. Needs no index: what the targets hold is enough, so it works on an
    empty database.
    """
    identities = keys.identities(identity_file) if _needs_identity(identity_file) else []
    chosen = [targets.target(target)] if target else targets.targets()
    last: Refusal | None = None
    for each in chosen:
        try:
            if folder is None:
                return _newest(each, identities, content)
            return opening.open_backup(each, folder, identities, sha256=_indexed_hash(folder))
        except (BackupDamaged, BackupNotFound) as refusal:
            last = last or refusal
    raise last or BackupNotFound("No target is configured.")


def _needs_identity(path: str | None) -> bool:
    return bool(path or settings.identity_file or settings.recipients)


def _newest(target: targets.Target, identities: list[x25519.Identity], content: str) -> Opened:
    """Open the newest one; if it is damaged, that is said, and no older one is taken silently."""
    for folder in reversed(opening.folders(target)):
        try:
            opening.manifest_name(target, folder)
        except BackupNotFound:
            continue  # being written, or left by a dead run
        opened = opening.open_backup(target, folder, identities, sha256=_indexed_hash(folder))
        holds = content == Content.ALL or str(content) in opened.manifest.parts
        if holds and opened.manifest.kind != Kind.SAFETY:
            return opened
    raise BackupNotFound(f"The target {target.alias!r} holds no backup of the kind asked for.")


def has_index() -> bool:
    """Tell whether the index's tables exist: on an empty database they do not."""
    return indexing.exists()


def _indexed_hash(folder: str) -> str:
    if not opening.FOLDER_NAME.match(folder) or not has_index():
        return ""
    row = Backup.objects.filter(folder=folder).first()
    return row.manifest_sha256 if row else ""


def plan(opened: Opened, *, content: str = Content.ALL, safety: bool = True) -> Plan:
    """Say what a restore would do; changes nothing."""
    using = settings.database
    vendor = connections[using].vendor
    described = opened.manifest.database
    content = _possible(opened, content)
    wanted = "postgresql" if vendor == "postgresql" else "sqlite"
    if content != Content.FILES and described and described.engine != wanted:
        raise BackupDamaged(
            f"The backup is of {described.engine}, and the database {using!r} is {vendor}."
        )
    empty = postgresql.is_empty(using) if vendor == "postgresql" else sqlite.is_empty(using)
    name = _database_name(using)
    lines = [
        (
            f"Read backup {opened.folder} from target {opened.target.alias!r}, "
            f"a snapshot of {opened.manifest.snapshot_at}."
        ),
        "Verify every part and every file of it; refuse it, with nothing touched, if one differs.",
    ]
    if content != Content.FILES and described:
        if not empty and safety:
            lines.append(f"Make a safety backup of the database {name!r} as it is now.")
        verb = "Fill the empty database" if empty else "REPLACE ALL DATA in the database"
        lines.append(
            f"{verb} {name!r} with {len(described.tables)} tables and {described.rows} rows, in "
            "one transaction, and compare every table's rows and checksum before it is committed."
        )
    if content != Content.DATABASE and opened.manifest.files:
        state = opened.manifest.files
        lines.append(
            f"Put {state.count} files ({state.raw_bytes} bytes) into {', '.join(state.storages)}; "
            "files there now are set aside, not deleted."
        )
    lines.append("Rebuild the index of backups from what the targets hold.")
    return Plan(opened, name, empty, content, safety, tuple(lines))


def _possible(opened: Opened, content: str) -> str:
    parts = opened.manifest.parts
    if content == Content.ALL and set(parts) != {"database", "files"}:
        return Content.DATABASE if "database" in parts else Content.FILES
    if str(content) != Content.ALL and str(content) not in parts:
        raise BackupNotFound(f"The backup {opened.folder} holds no {content}.")
    return content


def _database_name(using: str) -> str:
    known = connections[using].settings_dict
    if connections[using].vendor == "sqlite":
        from backups.dumpers.sqlite import path_of

        return path_of(using).name
    return str(known["NAME"])


def restore(
    plan: Plan,
    *,
    confirm_database: str = "",
    user: Any = None,
    now: datetime,
    on_step: Callable[[str], None] = lambda _text: None,
) -> Restored:
    """Carry a plan out.

    Refuses a database that is not empty unless its name was given; then verifies the whole backup,
    makes the safety backup, and only then touches anything. A failure up to the commit leaves the
    database and the files as they were.
    """
    try:
        return _restore(plan, confirm_database, user, now, on_step)
    except Refusal as refusal:
        if has_index():
            emit(
                events.RESTORE_REFUSED,
                actor=user,
                target=f"database:{plan.database_name}",
                data={"folder": plan.opened.folder, "why": refusal.detail[:500]},
            )
        raise


def _restore(
    plan: Plan, confirm: str, user: Any, now: datetime, on_step: Callable[[str], None]
) -> Restored:
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
    if plan.needs_confirmation and plan.safety and has_index():
        on_step("safety backup")
        safety = str(backup_now(kind=Kind.SAFETY, content=Content.DATABASE, user=user, now=now))
    with ExitStack() as stack:
        if has_index():
            stack.enter_context(leases.hold(leases.BACKUP, now=now))
            _say(events.RESTORE_STARTED, plan, user)
        staged = _replace(plan, on_step)
    on_step("index")
    return _finished(plan, staged, safety, user, now)


def _replace(plan: Plan, on_step: Callable[[str], None]) -> staging.Staged | None:
    staged = None
    if plan.content != Content.DATABASE and plan.opened.manifest.files:
        on_step("files")
        staged = staging.Staged(plan.opened, secrets.token_hex(4))
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


def _load(plan: Plan) -> None:
    using = settings.database
    if connections[using].vendor == "postgresql":
        postgresql.load(plan.opened, using=using, clear=not plan.database_is_empty)
    else:
        sqlite.load(plan.opened, using=using)


def _say(kind: Any, plan: Plan, user: Any) -> None:
    emit(
        kind,
        actor=user,
        target=f"database:{plan.database_name}",
        data={"folder": plan.opened.folder, "content": str(plan.content)},
    )


def _finished(
    plan: Plan, staged: staging.Staged | None, safety: str, user: Any, now: datetime
) -> Restored:
    connections[settings.database].close()  # it may hold plans for tables that are gone
    described = plan.opened.manifest.database
    indexed = 0
    if has_index():
        if plan.content != Content.FILES:
            Lease.objects.release_restored()
        indexed = indexing.rebuild(identities=plan.opened.identities, now=now)
        _say(events.RESTORE_COMPLETED, plan, None if plan.content != Content.FILES else user)
    return Restored(
        plan=plan,
        rows=described.rows if described and plan.content != Content.FILES else 0,
        files=staged.count if staged else 0,
        kept_files=tuple(staged.replaced) if staged else (),
        safety_backup=safety,
        unapplied=unapplied_migrations(settings.database),
        indexed=indexed,
    )


def unapplied_migrations(using: str) -> tuple[str, ...]:
    """Name the migrations that this code has and the database has not."""
    from django.db.migrations.executor import MigrationExecutor

    try:
        executor = MigrationExecutor(connections[using])
        steps = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return ()
    return tuple(f"{migration.app_label}.{migration.name}" for migration, _backwards in steps)


def bring_table(opened: Opened, *, table: str, schema: str, user: Any = None, now: datetime) -> int:
    """Bring one table's rows into a side schema; nothing that exists is changed."""
    using = settings.database
    rescue.find(opened, table)
    held = leases.hold(leases.DRILL, now=now) if has_index() else nullcontext()
    with held:
        scratch.sweep(using)
        name = scratch.name_for(using, secrets.token_hex(16))
        rows = rescue.bring(opened, table=table, schema=schema, using=using, scratch_name=name)
    if has_index():
        emit(
            events.RESTORE_COMPLETED,
            actor=user,
            target=f"table:{schema}.{table}",
            data={"folder": opened.folder, "rows": rows},
        )
    return rows
