"""What a restore would do, reported before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connections

from backups.conf import settings
from backups.databases import destinations
from backups.dumpers.sqlite import path_of
from backups.errors import BackupNotFound
from backups.models.backup import Content
from backups.restore import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backups.opening import OpenedBackup


@dataclass(frozen=True)
class PlannedDatabase:
    """A database that a part of the backup would be restored into."""

    what: str
    alias: str
    name: str
    is_empty: bool


@dataclass(frozen=True)
class RestorePlan:
    """What a restore would do, in the order in which it would do it."""

    opened: OpenedBackup
    databases: tuple[PlannedDatabase, ...]
    content: str
    safety: bool
    lines: tuple[str, ...]

    @property
    def to_confirm(self) -> list[str]:
        """Return the names of the databases whose data would be replaced."""
        return [each.name for each in self.databases if not each.is_empty]

    @property
    def target(self) -> str:
        """Name what is restored into, for events."""
        names = ", ".join(each.name for each in self.databases)
        return f"database:{names}"[:200] if names else "files"


def plan(
    opened: OpenedBackup,
    *,
    content: str = Content.ALL,
    database: str | None = None,
    safety: bool = True,
) -> RestorePlan:
    """Report what a restore would do, of all databases or of that alias; changes nothing."""
    content = _possible(opened, Content.DATABASE if database else content)
    into = {} if content == Content.FILES else destinations(opened.manifest, only=database)
    found = tuple(
        PlannedDatabase(what, alias, _database_name(alias), _is_empty(alias))
        for what, alias in into.items()
    )
    at = opened.manifest.snapshot_at
    lines = [
        f"Read backup {opened.folder} from target {opened.target.alias!r}, a snapshot of {at}.",
        "Verify every part and every file of it; refuse it, with nothing touched, if one differs.",
    ]
    lines += _database_lines(opened, found, safety=safety)
    if content != Content.DATABASE:
        lines += _file_lines(opened)
    lines.append("Rebuild the index of backups from what the targets hold.")
    return RestorePlan(opened, found, content, safety, tuple(lines))


def _is_empty(using: str) -> bool:
    if connections[using].vendor == "postgresql":
        return postgresql.is_empty(using)
    return sqlite.is_empty(using)


def _database_lines(
    opened: OpenedBackup, found: tuple[PlannedDatabase, ...], *, safety: bool
) -> Iterator[str]:
    held = [repr(each.name) for each in found if not each.is_empty]
    if held and safety:
        yield f"Make a safety backup of the database {' and '.join(held)} as it is now."
    for each in found:
        described = opened.manifest.databases[each.what]
        verb = "Fill the empty database" if each.is_empty else "REPLACE ALL DATA in the database"
        yield (
            f"{verb} {each.name!r} with {len(described.tables)} tables and {described.rows} rows, "
            "in one transaction, and compare every table's rows and checksum before it is "
            "committed."
        )
    if found[1:]:
        yield (
            "(Each of these databases was a snapshot of its own, seconds apart, and is restored by "
            "a transaction of its own: what refers from one to another may not match.)"
        )
    restored = {each.alias for each in found}
    if found and (others := [each for each in settings.databases if each not in restored]):
        yield f"Leave as it is, for it is not restored: {', '.join(others)}."


def _file_lines(opened: OpenedBackup) -> Iterator[str]:
    state = opened.manifest.files
    if state is not None:
        yield (
            f"Put {state.count} files ({state.raw_bytes} bytes) into {', '.join(state.storages)}; "
            "files there now are set aside, not deleted."
        )


def _possible(opened: OpenedBackup, content: str) -> str:
    if content == Content.ALL:
        return opened.manifest.content
    if str(content) not in opened.manifest.parts:
        raise BackupNotFound(f"The backup {opened.folder} holds no {content}.")
    return content


def _database_name(using: str) -> str:
    known = connections[using].settings_dict
    if connections[using].vendor == "sqlite":
        return path_of(using).name
    return str(known["NAME"])
