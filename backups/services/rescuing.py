"""Bringing one table's rows from a backup into a schema beside the live ones.

Nothing that exists is changed: the rows land in a table of their own, from which whoever needs them
copies what is missing.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
import tempfile
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import connections

from backups import events, leases, scratch, tools
from backups.conf import settings
from backups.dumpers import sqlite_state
from backups.dumpers.connection import connect
from backups.dumpers.sqlite import path_of
from backups.errors import BackupsRefusal
from backups.processes import EarlyStopInput, Program
from backups.restore import postgresql, sqlite
from backups.services import indexing
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from backups.manifest import Table
    from backups.opening import OpenedBackup

SCHEMA_NAME = re.compile(r"^[a-z_][a-z0-9_]{0,62}\Z")
_QUOTED = r'("(?:[^"]|"")*"|[^".]+)'
_FULL_NAME = re.compile(rf"^{_QUOTED}\.{_QUOTED}$", re.DOTALL)
_TABLE_DATA = re.compile(r"^\d+; \d+ \d+ TABLE DATA ")


def bring_table(opened: OpenedBackup, *, table: str, schema: str, now: datetime) -> int:
    """Bring one table's rows into a side schema; nothing that exists is changed."""
    using = settings.database
    find_table(opened, table)
    held = leases.hold(leases.DRILL, now=now) if indexing.exists() else nullcontext()
    with held:
        scratch.sweep(using)
        name = scratch.name_for(using, secrets.token_hex(16))
        rows = _bring(opened, table=table, schema=schema, using=using, scratch_name=name)
    if indexing.exists():
        emit(
            events.RESTORE_COMPLETED,
            target=f"table:{schema}.{table}",
            data={"folder": opened.folder, "rows": rows},
        )
    return rows


def find_table(opened: OpenedBackup, table: str) -> Table:
    """Get the manifest's entry for a table: ``name``, ``schema.name`` or as it is quoted there."""
    described = opened.manifest.database
    for each in described.tables if described else ():
        schema, name = _plain(each.name)
        if table in {each.name, f"{schema}.{name}"} or (schema in {"", "public"} and table == name):
            return each
    raise BackupsRefusal(f"The backup holds no table {table[:80]!r}.")


def _plain(name: str) -> tuple[str, str]:
    """Take a name apart as the server's ``format('%I.%I')`` quoted it: schema and table."""
    match = _FULL_NAME.match(name)
    if match is None:  # SQLite's: one name, as it is
        return "", name
    parts = [
        part[1:-1].replace('""', '"') if part.startswith('"') else part for part in match.groups()
    ]
    return parts[0], parts[1]


def require_bringable(opened: OpenedBackup, *, table: str, schema: str) -> Table:
    """Return the manifest's entry for the table; refuses an unknown one, and a bad schema."""
    if not SCHEMA_NAME.match(schema) or schema.startswith("pg_") or schema == "public":
        raise BackupsRefusal(
            f"{schema[:40]!r} cannot be the side schema. Use lower-case letters, digits and "
            "underscores, such as rescue_20261124."
        )
    return find_table(opened, table)


def _bring(opened: OpenedBackup, *, table: str, schema: str, using: str, scratch_name: str) -> int:
    """Bring the rows of one table into ``schema``; returns how many.

    Refuses where a table of that name is there already, and a row count that is not the manifest's.
    """
    entry = require_bringable(opened, table=table, schema=schema)
    if connections[using].vendor == "sqlite":
        return _bring_sqlite(opened, entry, schema, using, scratch_name)
    with scratch.created(using, scratch_name):
        postgresql.load(
            opened, using=using, database=scratch_name, sections=["pre-data"], check=False
        )
        with tempfile.NamedTemporaryFile("w", suffix=".list") as chosen:
            chosen.write(_only(opened, entry))
            chosen.flush()
            postgresql.load(
                opened, using=using, database=scratch_name, list_file=chosen.name, check=False
            )
        with connect(using, database=scratch_name) as source, connect(using) as into:
            return _copy(source, into, entry, schema)


def _only(opened: OpenedBackup, entry: Table) -> str:
    """Return the archive's table of contents, cut down to one table's data."""
    described = opened.manifest.database
    matching = tools.matching(int(described.major) if described else 0)
    with Program(
        [matching.path("pg_restore"), "--list"],
        environment={"LC_ALL": "C"},
        takes_input=True,
    ) as program:
        opened.part("database", EarlyStopInput(program))
        program.end_input()
        listed = b""
        while chunk := program.read(65536):
            listed += chunk
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
) -> int:
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
    return entry.rows


def _bring_sqlite(
    opened: OpenedBackup, entry: Table, schema: str, using: str, scratch_name: str
) -> int:
    """SQLite has no schemas: the table is called ``<schema>_<table>``."""
    live = path_of(using)
    path = live.with_name(f".{scratch_name}.sqlite3")
    side = sqlite_state.quoted(f"{schema}_{entry.name}")
    try:
        sqlite.unpack(opened, path)
        with closing(sqlite3.connect(live, timeout=60)) as into:
            into.isolation_level = None
            into.execute("ATTACH DATABASE ? AS rescued", (str(path),))
            into.execute("BEGIN IMMEDIATE")
            table = sqlite_state.quoted(entry.name)
            into.execute(f"CREATE TABLE {side} AS SELECT * FROM rescued.{table}")  # noqa: S608
            into.execute("COMMIT")
    finally:
        sqlite.remove(Path(path))
    return entry.rows
