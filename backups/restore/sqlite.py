"""Putting a SQLite database back: beside it first, checked, then by SQLite's own transaction."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from backups.databases import MAIN
from backups.dumpers import sqlite_state
from backups.dumpers.sqlite import path_of
from backups.errors import BackupDamaged, RestoreMismatch

if TYPE_CHECKING:
    from pathlib import Path

    from backups.manifest import DatabaseState
    from backups.opening import OpenedBackup

MARK = ".garrison-restoring-"
BUSY_SECONDS = 60


def _for_its_owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def unpack(opened: OpenedBackup, path: Path, *, what: str = MAIN) -> None:
    """Write the database file of a backup to a new path, and check it; else leave nothing."""
    try:
        with open(path, "xb", opener=_for_its_owner_only) as out:
            opened.part(what, out)
        _require_whole(path, opened.manifest.databases.get(what))
    except BaseException:
        remove(path)
        raise


def _require_whole(path: Path, expected: DatabaseState | None) -> None:
    with closing(sqlite3.connect(path)) as connection:
        try:
            problems = connection.execute("PRAGMA integrity_check").fetchall()
        except sqlite3.DatabaseError:
            raise BackupDamaged("The restored file is not a SQLite database.") from None
        if problems != [("ok",)]:
            raise BackupDamaged("The restored database fails SQLite's integrity check.")
        found = sqlite_state.describe(connection, name=path.name)
    if expected and (found.tables, found.sequences) != (expected.tables, expected.sequences):
        names = {table.name for table in set(found.tables) ^ set(expected.tables)}
        raise RestoreMismatch(f"These tables differ from the manifest: {', '.join(sorted(names))}.")


def remove(path: Path) -> None:
    """Delete a database file and what SQLite puts beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Delete what a killed restore has left beside the database."""
    for left in path.parent.glob(f"{path.name}{MARK}*"):
        left.unlink(missing_ok=True)


def load(opened: OpenedBackup, *, using: str, what: str = MAIN) -> None:
    """Replace the contents of a database by a backup's, in one transaction of SQLite's."""
    live = path_of(using)
    live.parent.mkdir(parents=True, exist_ok=True)
    sweep(live)
    beside = live.with_name(f"{live.name}{MARK}{secrets.token_hex(6)}")
    unpack(opened, beside, what=what)
    try:
        with (
            closing(sqlite3.connect(beside)) as source,
            closing(sqlite3.connect(live, timeout=BUSY_SECONDS)) as into,
        ):
            source.backup(into, pages=-1)
    finally:
        remove(beside)


def is_empty(using: str) -> bool:
    """Return whether there is no table."""
    path = path_of(using)
    if not path.exists():
        return True
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return int(count) == 0
