"""What a restore would do, reported before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connections

from backups.conf import settings
from backups.dumpers.sqlite import path_of
from backups.errors import BackupDamaged, BackupNotFound
from backups.models.backup import Content
from backups.restore import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backups.opening import OpenedBackup


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
    name = _database_name(using)
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


def _database_name(using: str) -> str:
    known = connections[using].settings_dict
    if connections[using].vendor == "sqlite":
        return path_of(using).name
    return str(known["NAME"])
