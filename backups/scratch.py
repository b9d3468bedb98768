"""Scratch databases: made for one drill or rescue, always dropped, leftovers found again.

Their name carries a mark of the database they belong to, so that two sites on one server never
drop each other's; only the holder of the drill lease makes or sweeps them.
"""

from __future__ import annotations

import copy
import hashlib
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connections

from backups.dumpers.connection import connect
from backups.dumpers.sqlite import path_of
from backups.restore import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backups.opening import OpenedBackup

PREFIX = "garrison_drill"
COMMENT = "Django Garrison: scratch copy for a drill; dropped by the next one."


def mark(using: str) -> str:
    """Return the mark of a database: what tells its scratch databases from those of others."""
    known = connections[using].settings_dict
    text = f"{known.get('HOST')}:{known.get('PORT')}/{known['NAME']}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def name_for(using: str, run: str) -> str:
    """Name the scratch database of one run, whose id is 32 hexadecimal digits."""
    return f"{PREFIX}_{mark(using)}_{run[:12]}"


@contextmanager
def restored(opened: OpenedBackup, *, what: str, source: str, name: str) -> Iterator[str]:
    """Restore one of a backup's databases into a scratch one; returns a Django alias for the block.

    The load is checked against the manifest like any restore. Whatever happens in the block, the
    scratch database is dropped at its end.
    """
    if connections[source].vendor == "sqlite":
        with _sqlite(opened, what, source, name) as alias:
            yield alias
    else:
        with created(source, name):
            postgresql.load(opened, what=what, using=source, database=name)
            with _alias(source, name, name) as alias:
                yield alias


@contextmanager
def created(using: str, name: str) -> Iterator[str]:
    """Create an empty scratch database on PostgreSQL for the block."""
    with connect(using) as session:
        session.execute(f'CREATE DATABASE "{name}" {_like_the_source(session)}')
    try:
        with connect(using) as session:
            session.execute(f"COMMENT ON DATABASE \"{name}\" IS '{COMMENT}'")
        yield name
    finally:
        drop(using, name)


def _like_the_source(session: Any) -> str:
    encoding, collate, ctype = session.execute(
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database"
        " WHERE datname = current_database()"
    ).fetchone()
    quoted = [text.replace("'", "''") for text in (encoding, collate, ctype)]
    return "TEMPLATE template0 ENCODING '{}' LC_COLLATE '{}' LC_CTYPE '{}'".format(*quoted)


def drop(using: str, name: str) -> None:
    """Drop a scratch database, whoever is still connected to it."""
    with connect(using) as session:
        session.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def _sqlite(opened: OpenedBackup, what: str, source: str, name: str) -> Iterator[str]:
    path = path_of(source).with_name(f".{name}.sqlite3")
    try:
        sqlite.unpack(opened, path, what=what)
        with _alias(source, name, str(path)) as alias:
            yield alias
    finally:
        sqlite.remove(path)


@contextmanager
def _alias(source: str, alias: str, database: str) -> Iterator[str]:
    """Make a database known to Django under an alias, in this process, for the block.

    Django has no public way to add an alias while it runs; ``databases`` is what it reads itself.
    """
    fields = copy.deepcopy(connections[source].settings_dict)
    fields |= {"NAME": database, "CONN_MAX_AGE": 0, "ATOMIC_REQUESTS": False}
    fields["OPTIONS"] = {k: v for k, v in fields["OPTIONS"].items() if k != "pool"}
    connections.databases[alias] = fields
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.databases[alias]


def sweep(using: str) -> list[str]:
    """Drop what killed drills have left; returns the names. Only for the holder of the lease."""
    pattern = re.compile(rf"^{PREFIX}_{mark(using)}_[0-9a-f]{{12}}\Z")
    if connections[using].vendor == "sqlite":
        return _sweep_sqlite(using, pattern)
    with connect(using) as session:
        rows = session.execute("SELECT datname FROM pg_database WHERE NOT datistemplate")
        left = [name for (name,) in rows.fetchall() if pattern.match(name)]
    for name in left:
        drop(using, name)
    return left


def _sweep_sqlite(using: str, pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in path_of(using).parent.glob(f".{PREFIX}_*.sqlite3"):
        name = path.name.removeprefix(".").removesuffix(".sqlite3")
        if pattern.match(name):
            sqlite.remove(path)
            found.append(name)
    return found
