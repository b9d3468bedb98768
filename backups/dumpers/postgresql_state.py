"""Counting and checksumming a PostgreSQL database, the same way before and after.

A table's checksum is the sum of a 64-bit hash of each row: independent of the order of rows,
computed inside the server, and nothing leaves it. It finds loss and damage; against forgery stands
the signature of the manifest.

Columns of the common types are hashed as they are, which costs a third of turning whole rows into
text; every other type is hashed as its text.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from backups.manifest import DatabaseState, SequenceState, Table

if TYPE_CHECKING:
    import psycopg

# The text of a row depends on these, so both sides must agree on them.
STABLE_TEXT = (
    "SET LOCAL row_security = off",
    "SET LOCAL search_path = pg_catalog",
    "SET LOCAL timezone = 'UTC'",
    "SET LOCAL datestyle = 'ISO, YMD'",
    "SET LOCAL intervalstyle = 'postgres'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL xmlbinary = 'base64'",
    "SET LOCAL lc_monetary = 'C'",
    "SET LOCAL statement_timeout = 0",
    # One core for checksums is enough: the site needs the others.
    "SET LOCAL max_parallel_workers_per_gather = 0",
)

_NOT_OURS = """
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT 1 FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY 1
"""
# Ordinary tables outside of the catalogue and of extensions; leaves of partitioned ones.
_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname), {expression}
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'
"""
_SEQUENCES = f"""
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' {_NOT_OURS}
"""  # noqa: S608 - constants
_MIGRATIONS_TABLE = "SELECT to_regclass('public.django_migrations') IS NOT NULL"
_LARGE_OBJECTS = "SELECT oid FROM pg_largeobject_metadata ORDER BY oid"
LARGE_OBJECT_CHUNK = 1024 * 1024


# Types whose hash tells every two values apart that look different. Not numeric (1.0 and 1.00 hash
# alike), nor interval, nor what has no hash at all.
_HASHED_AS_THEY_ARE = (
    "'{bool,int2,int4,int8,float4,float8,date,timestamp,timestamptz,time,uuid,bytea,jsonb}'"
    "::regtype[]"
)


def expression(table: str) -> str:
    """Return SQL that yields the SQL which hashes one row ``x`` of a table.

    ``table`` is SQL for its ``regclass``. The catalogue is asked on both sides, before and after,
    so the manifest need not carry SQL.
    """
    hashed = f"WHEN a.atttypid = ANY ({_HASHED_AS_THEY_ARE}) THEN format('x.%I', a.attname)"
    as_text = "ELSE format('x.%I::text COLLATE \"C\"', a.attname)"
    columns = f"string_agg(CASE {hashed} {as_text} END, ', ' ORDER BY a.attnum)"
    whose = f"a.attrelid = {table} AND a.attnum > 0 AND NOT a.attisdropped"
    row = f"coalesce('hash_record_extended(ROW(' || {columns} || '), 0)', '0')"
    return f"(SELECT {row} FROM pg_attribute a WHERE {whose})"  # noqa: S608 - constants, a regclass


def question(table: str, hashed: str) -> str:
    """Return the query for one table, already quoted: its rows and its checksum."""
    counted = f"SELECT count(*)::text, coalesce(sum({hashed}), 0)::text"
    return f"{counted} FROM ONLY {table} AS x"


def begin(session: psycopg.Connection[Any]) -> None:
    """Begin a read-only transaction on a new snapshot."""
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    for statement in STABLE_TEXT:
        session.execute(statement)


def sequences(session: psycopg.Connection[Any]) -> list[SequenceState]:
    """Read every sequence. They are outside of any snapshot, so this comes before the dump."""
    found = []
    for (name,) in session.execute(_SEQUENCES).fetchall():
        query = f"SELECT last_value, is_called FROM {name}"  # noqa: S608 - quoted by the server
        last_value, is_called = session.execute(query).fetchone() or (0, False)
        found.append(SequenceState(name, last_value, is_called))
    return found


def describe(
    session: psycopg.Connection[Any], *, counters: list[SequenceState], tool: str = ""
) -> DatabaseState:
    """Describe what the session's transaction sees; one pass over every table."""
    listed = session.execute(_TABLES.format(expression=expression("c.oid")) + _NOT_OURS).fetchall()
    tables = [_table(session, name, hashed) for name, hashed in listed]
    version, name = session.execute(
        "SELECT current_setting('server_version'), current_database()::text"
    ).fetchone() or ("", "")
    return DatabaseState(
        engine="postgresql",
        version=version.split()[0],
        name=name,
        tables=tables,
        sequences=counters,
        large_objects=large_objects(session),
        migrations=_migrations(session),
        tool=tool,
    )


def _table(session: psycopg.Connection[Any], name: str, hashed: str) -> Table:
    rows, checksum = session.execute(question(name, hashed)).fetchone() or ("0", "0")
    return Table(name, int(rows), checksum)


def _migrations(session: psycopg.Connection[Any]) -> list[list[str]]:
    (there,) = session.execute(_MIGRATIONS_TABLE).fetchone() or (False,)
    if not there:
        return []
    query = "SELECT app, name FROM public.django_migrations ORDER BY app, name"
    return [list(row) for row in session.execute(query).fetchall()]


def large_objects(session: psycopg.Connection[Any]) -> Table:
    """Hash every large object in pieces: one may be terabytes, and ``lo_get`` holds it whole."""
    total = hashlib.sha256()
    oids = [oid for (oid,) in session.execute(_LARGE_OBJECTS).fetchall()]
    for oid in oids:
        total.update(b"%d:" % oid)
        offset = 0
        while chunk := _piece(session, oid, offset):
            total.update(chunk)
            offset += len(chunk)
        total.update(b":%d;" % offset)
    return Table("large objects", len(oids), total.hexdigest())


def _piece(session: psycopg.Connection[Any], oid: int, offset: int) -> bytes:
    row = session.execute(
        "SELECT lo_get(%s::oid, %s::bigint, %s::int)", (oid, offset, LARGE_OBJECT_CHUNK)
    ).fetchone()
    return bytes(row[0]) if row else b""
