"""Counting and checksumming a SQLite database, the same way before and after."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import TYPE_CHECKING

from backups.manifest import DatabaseState, SequenceState, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

_TABLES = r"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name"  # noqa: E501
_HAS = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
MODULUS = 1 << 64


def quoted(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def describe(connection: sqlite3.Connection, *, name: str) -> DatabaseState:
    """Describe what the connection sees; text is compared as bytes, valid UTF-8 or not."""
    connection.text_factory = bytearray  # tells text from blobs, and cannot fail to decode
    names = [bytes(row[0]).decode("utf-8") for row in connection.execute(_TABLES)]
    return DatabaseState(
        engine="sqlite",
        version=sqlite3.sqlite_version,
        name=name,
        tables=[_table(connection, table) for table in names],
        sequences=list(_counters(connection)),
        large_objects=Table("large objects", 0, ""),
        migrations=_migrations(connection),
        tool=f"SQLite {sqlite3.sqlite_version}",
    )


def _table(connection: sqlite3.Connection, table: str) -> Table:
    rows = total = 0
    for row in connection.execute(f"SELECT * FROM {quoted(table)}"):  # noqa: S608 - quoted
        digest = hashlib.blake2b(repr(row).encode(), digest_size=8).digest()
        total += int.from_bytes(digest, "big")
        rows += 1
    return Table(table, rows, f"{total % MODULUS}")


def _counters(connection: sqlite3.Connection) -> Iterable[SequenceState]:
    if not connection.execute(_HAS, ("sqlite_sequence",)).fetchone():
        return
    for name, value in connection.execute("SELECT name, seq FROM sqlite_sequence ORDER BY name"):
        yield SequenceState(bytes(name).decode("utf-8"), int(value or 0), is_called=True)


def _migrations(connection: sqlite3.Connection) -> list[list[str]]:
    if not connection.execute(_HAS, ("django_migrations",)).fetchone():
        return []
    query = "SELECT app, name FROM django_migrations ORDER BY app, name"
    return [[bytes(text).decode("utf-8") for text in row] for row in connection.execute(query)]
