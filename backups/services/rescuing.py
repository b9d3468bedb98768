"""Bringing single files into a new folder, or one table's rows into a schema beside the live ones.

Nothing that exists is changed: the rows land in a table of their own, from which whoever needs them
copies what is missing.
"""

from __future__ import annotations

import re
import secrets
import shutil
import sqlite3
import tempfile
from contextlib import closing, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connections

from backups import events, leases, scratch, tools
from backups.databases import alias_of, destinations
from backups.dumpers import sqlite_state
from backups.dumpers.connection import connect
from backups.dumpers.sqlite import path_of
from backups.errors import BackupNotFound, BackupsRefusal
from backups.files import shown
from backups.processes import Program
from backups.restore import postgresql
from backups.restore.staging import write_file
from backups.services import indexing
from garrison.events import emit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    import psycopg

    from backups.files import Entry
    from backups.manifest import Table
    from backups.opening import OpenedBackup

SCHEMA_NAME = re.compile(r"^[a-z_][a-z0-9_]{0,62}\Z")
_QUOTED = r'("(?:[^"]|"")*"|[^".]+)'
_FULL_NAME = re.compile(rf"^{_QUOTED}\.{_QUOTED}$", re.DOTALL)
_TABLE_DATA = re.compile(r"^\d+; \d+ \d+ TABLE DATA ")


def bring_table(
    opened: OpenedBackup, *, table: str, schema: str, database: str | None = None, now: datetime
) -> int:
    """Bring one table's rows into a side schema; returns how many.

    The table is one of the main database, or of the one with that alias. Refuses where a table of
    that name is there already, and a row count that is not the manifest's.
    """
    what, using = _source(opened, database)
    entry = require_bringable(opened, table=table, schema=schema, database=database)
    bring = _bring_sqlite if connections[using].vendor == "sqlite" else _bring_postgresql
    held = leases.hold(leases.DRILL, now=now) if indexing.exists() else nullcontext()
    with held:
        scratch.sweep(using)
        name = scratch.name_for(using, secrets.token_hex(16))
        bring(opened, what, entry, schema=schema, using=using, scratch_name=name)
    _emit(opened, f"table:{schema}.{table}", rows=entry.rows)
    return entry.rows


def _source(opened: OpenedBackup, database: str | None) -> tuple[str, str]:
    """Return the part that holds a database, and its alias; without one the main database's."""
    found = destinations(opened.manifest, only=database or alias_of(opened.manifest))
    return found.popitem()


def _emit(opened: OpenedBackup, target: str, **brought: int) -> None:
    if indexing.exists():
        data = {"folder": opened.folder, **brought}
        emit(events.RESTORE_COMPLETED, target=target[:200], data=data)


def require_bringable(
    opened: OpenedBackup, *, table: str, schema: str, database: str | None = None
) -> Table:
    """Return the manifest's entry for a table: ``name``, ``schema.name`` or as it is quoted there.

    Refuses an unknown one, and a name that cannot be the side schema's.
    """
    if not SCHEMA_NAME.match(schema) or schema.startswith("pg_") or schema == "public":
        raise BackupsRefusal(
            f"{schema[:40]!r} cannot be the side schema. Use lower-case letters, digits and "
            "underscores, such as rescue_20261124."
        )
    for each in opened.manifest.databases[_source(opened, database)[0]].tables:
        of, name = _plain(each.name)
        if table in {each.name, f"{of}.{name}"} or (of in {"", "public"} and table == name):
            return each
    raise BackupsRefusal(f"The backup holds no table {table[:80]!r}.")


def _plain(name: str) -> tuple[str, str]:
    """Take a name apart as the server's ``format('%I.%I')`` quoted it: schema and table."""
    match = _FULL_NAME.match(name)
    if match is None:  # SQLite's: one name, as it is
        return "", name
    schema, table = (
        part[1:-1].replace('""', '"') if part.startswith('"') else part for part in match.groups()
    )
    return schema, table


def _bring_postgresql(  # noqa: PLR0913 - one table, by keyword
    opened: OpenedBackup, what: str, entry: Table, *, schema: str, using: str, scratch_name: str
) -> None:
    with scratch.created(using, scratch_name):
        load = partial(
            postgresql.load, opened, what=what, using=using, database=scratch_name, check=False
        )
        load(sections=["pre-data"])
        with tempfile.NamedTemporaryFile("w", suffix=".list") as chosen:
            chosen.write(_only(opened, what, entry))
            chosen.flush()
            load(list_file=chosen.name)
        with connect(using, database=scratch_name) as source, connect(using) as into:
            _copy(source, into, entry, schema)


def _only(opened: OpenedBackup, what: str, entry: Table) -> str:
    """Return the archive's table of contents, cut down to one table's data."""
    matching = tools.matching(int(opened.manifest.databases[what].major))
    with Program(
        [matching.path("pg_restore"), "--list"],
        environment={"LC_ALL": "C"},
        takes_input=True,
        may_stop_reading=True,
    ) as program:
        opened.part(what, program)
        program.end_input()
        listed = b"".join(iter(partial(program.read, 65536), b""))
    schema, name = _plain(entry.name)
    wanted = f" TABLE DATA {schema} {name} "
    lines = [
        line for line in listed.decode().splitlines() if _TABLE_DATA.match(line) and wanted in line
    ]
    return "\n".join(lines) + "\n"


_COLUMNS = """
SELECT a.attname, CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace
                       THEN format_type(a.atttypid, a.atttypmod) ELSE 'text' END
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
"""


def _copy(
    source: psycopg.Connection[Any], into: psycopg.Connection[Any], entry: Table, schema: str
) -> None:
    from psycopg import sql  # a site on SQLite has no driver

    columns = source.execute(_COLUMNS, (entry.name,)).fetchall()
    _schema, name = _plain(entry.name)
    side = sql.Identifier(schema, name)
    chosen = sql.SQL(", ").join(
        sql.SQL("{}::{}").format(sql.Identifier(column), sql.SQL(kind)) for column, kind in columns
    )
    made = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind)) for column, kind in columns
    )
    with into.transaction():
        into.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        if into.execute("SELECT to_regclass(%s)", (side.as_string(into),)).fetchone() != (None,):
            raise BackupsRefusal(f"{schema}.{name} exists already; name another schema.")
        into.execute(sql.SQL("CREATE TABLE {} ({})").format(side, made))
        reading = sql.SQL("COPY (SELECT {} FROM ONLY {}) TO STDOUT").format(
            chosen, sql.SQL(entry.name)
        )
        with (
            source.cursor().copy(reading) as rows,
            into.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(side)) as taken,
        ):
            for block in rows:
                taken.write(block)
        row = into.execute(sql.SQL("SELECT count(*) FROM {}").format(side)).fetchone()
        if row is None or row[0] != entry.rows:
            raise BackupsRefusal(f"The backup should hold {entry.rows} rows of {entry.name}.")


def _bring_sqlite(  # noqa: PLR0913 - one table, by keyword
    opened: OpenedBackup, what: str, entry: Table, *, schema: str, using: str, scratch_name: str
) -> None:
    """SQLite has no schemas: the table is called ``<schema>_<table>``."""
    side, table = (sqlite_state.quoted(each) for each in (f"{schema}_{entry.name}", entry.name))
    with (
        scratch.restored(opened, what=what, source=using, name=scratch_name) as alias,
        closing(sqlite3.connect(path_of(using), timeout=60, isolation_level=None)) as into,
    ):
        into.execute("ATTACH DATABASE ? AS rescued", (connections.databases[alias]["NAME"],))
        into.execute(f"CREATE TABLE {side} AS SELECT * FROM rescued.{table}")  # noqa: S608


def find_files(opened: OpenedBackup, path: str) -> list[Entry]:
    """Find the file at a path, or those in the folder there; ``storage:path`` means one storage."""
    found: list[Entry] = []
    wanted = path.rstrip("/")

    def take(entry: Entry) -> None:
        for name in (entry.path, f"{entry.storage}:{entry.path}"):
            if name == wanted or name.startswith(f"{wanted}/"):
                found.append(entry)
                return

    opened.each_file(take)  # to its end, which alone proves the list
    if not found:
        raise BackupNotFound(
            f"The backup holds no file {shown(path)[:200]}. "
            f"`manage.py backup_list {opened.folder}` shows what it holds."
        )
    return found


def bring_files(opened: OpenedBackup, entries: Sequence[Entry], *, into: Path) -> None:
    """Write files below a new folder, by storage and path; all of them, or the folder is removed.

    Only their own encrypted files are read. Refuses a folder that exists.
    """
    try:
        into.mkdir(mode=0o700, parents=True)
    except OSError as failure:
        raise BackupsRefusal(
            f"{into} cannot be made: {failure.strerror}. Name a new folder."
        ) from failure
    try:
        for entry in entries:
            write_file(opened, entry, into / entry.storage / entry.path)
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise
    target = f"file:{entries[0].storage}:{entries[0].shown_path}"
    _emit(opened, target, files=len(entries))
