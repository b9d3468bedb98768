"""Loading a dump into PostgreSQL in one transaction, checked before it is committed.

``pg_restore`` turns the archive into SQL, we pass it on to ``psql``, and the ``COMMIT`` is let
through only after the archive was found genuine to its last byte, ``pg_restore`` has ended well,
and every table has the rows and the checksum of the manifest. If anything fails, if one of the
three processes is killed, or the machine loses power, the server rolls back.
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from backups import tools
from backups.databases import MAIN
from backups.dumpers import postgresql_state
from backups.dumpers.connection import connect, environment
from backups.errors import ProgramFailed, RestoreMismatch
from backups.processes import Program
from backups.threads import BackgroundCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backups.manifest import DatabaseState, Table
    from backups.opening import OpenedBackup

TAIL = 4096  # bytes held back; pg_restore ends with COMMIT and a comment of under 200
END = b"\nCOMMIT;\n"
READ = 256 * 1024
LOCK_WAIT = "60s"
# What pg_restore 17 and newer begin with, and an older server refuses.
NEW_IN_17 = b"\nSET transaction_timeout = 0;\n"
MISMATCH = "garrison restore mismatch"

# Everything that is not the server's own goes, inside the same transaction.
CLEAR = """
DO $clear$
DECLARE it record;
BEGIN
  FOR it IN SELECT oid FROM pg_largeobject_metadata LOOP PERFORM lo_unlink(it.oid); END LOOP;
  FOR it IN SELECT nspname FROM pg_namespace
             WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', it.nspname);
  END LOOP;
  FOR it IN SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' LOOP
    EXECUTE format('DROP EXTENSION %I CASCADE', it.extname);
  END LOOP;
END
$clear$;
CREATE SCHEMA public AUTHORIZATION pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
COMMENT ON SCHEMA public IS 'standard public schema';
"""


def load(  # noqa: PLR0913 - one restore, by keyword
    opened: OpenedBackup,
    *,
    using: str,
    what: str = MAIN,
    database: str | None = None,
    clear: bool = False,
    sections: Sequence[str] = (),
    list_file: str | None = None,
    check: bool = True,
) -> None:
    """Restore a dump into a database; on return it is committed, and it was checked.

    ``what`` is the dump's part; ``database`` another one than the alias names, on the same server.
    ``clear`` first drops, in the same transaction, everything that is there. ``sections`` and
    ``list_file`` restrict what ``pg_restore`` takes from the archive, and go with ``check=False``.
    """
    described = opened.manifest.databases.get(what)
    server = _major(using, database)
    matching = tools.matching(max(server, int(described.major) if described else server))
    with ExitStack() as stack:
        reader = stack.enter_context(
            _pg_restore(matching, sections, list_file, may_stop_reading=not check)
        )
        writer = stack.enter_context(_psql(matching, using, database))
        writer.write(_beginning(clear=clear))
        # If it fails, the reader is killed, or the thread that feeds it would wait for ever.
        left_out = NEW_IN_17 if matching.major >= 17 > server else b""
        script = BackgroundCall(
            partial(_pass_on, reader, writer, left_out), on_end=partial(_stop, reader)
        )
        try:
            opened.part(what, reader)
            reader.end_input()
            ending = _up_to_commit(script.result(), writer)
            if check and described is not None:
                writer.write(checks(described, same_major=server == int(described.major)))
            writer.write(ending)
            writer.end_input()
            writer.finish()
        except BaseException as failure:  # noqa: BLE001 - raised again
            first = script.failure or failure  # what our own kills make it say comes later
            # psql is killed first: at the end of its input it must not find a COMMIT.
            writer.kill()
            reader.kill()
            script.wait()
            raise _named(first) from None


def _major(using: str, database: str | None) -> int:
    with connect(using, database=database) as session:
        return session.info.server_version // 10_000


def _pg_restore(
    matching: tools.Tools, sections: Sequence[str], list_file: str | None, *, may_stop_reading: bool
) -> Program:
    argv = [
        matching.path("pg_restore"),
        "--file=-",
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        *(f"--section={section}" for section in sections),
        *([f"--use-list={list_file}"] if list_file else []),
    ]
    return Program(
        argv,
        environment={"LC_ALL": "C"},
        takes_input=True,
        may_stop_reading=may_stop_reading,
    )


def _psql(matching: tools.Tools, using: str, database: str | None) -> Program:
    argv = [
        matching.path("psql"),
        "--no-psqlrc",
        "--quiet",
        "--no-password",
        "--set=ON_ERROR_STOP=1",
        "--output=/dev/null",
        "--file=-",
    ]
    return Program(argv, environment=environment(using, database=database), takes_input=True)


def _beginning(*, clear: bool) -> bytes:
    text = (
        f"BEGIN;\nSET LOCAL lock_timeout = '{LOCK_WAIT}';\nSET LOCAL client_min_messages = error;\n"
    )
    return (text + (CLEAR if clear else "")).encode()


def _pass_on(reader: Program, writer: Program, left_out: bytes) -> bytes:
    """Pass SQL from ``pg_restore`` to ``psql``; returns the end of it, which is held back.

    ``left_out`` is a line of its head; what rows hold comes later, and is passed on as it is.
    """
    held = reader.read(READ)
    if left_out:
        held = held.replace(left_out, b"\n", 1)
    while chunk := reader.read(READ):  # the end comes only after exit code zero
        held += chunk
        if len(held) > TAIL:
            writer.write(held[:-TAIL])
            held = held[-TAIL:]
    return held


def _stop(reader: Program, failure: BaseException | None) -> None:
    if failure is not None:
        reader.kill()


def _up_to_commit(held: bytes, writer: Program) -> bytes:
    """Pass on all but the COMMIT, and return that."""
    place = held.rfind(END)
    if place < 0:
        raise ProgramFailed("pg_restore's script does not end with COMMIT.")
    writer.write(held[:place] + b"\n")
    return held[place:]


def _named(failure: BaseException) -> BaseException:
    """Distinguish a mismatch that the server found from any other failure of psql."""
    if isinstance(failure, ProgramFailed) and MISMATCH in failure.detail:
        return RestoreMismatch(failure.detail)
    return failure


def checks(described: DatabaseState, *, same_major: bool) -> bytes:
    """Write the SQL that raises unless every table is as the manifest says.

    Row hashes may differ between major versions of the server; then only rows are counted.
    """
    lines = [f"{statement};" for statement in postgresql_state.STABLE_TEXT]
    lines += [_table_check(table, same_major=same_major) for table in described.tables]
    count = "SELECT count(*)::text FROM pg_largeobject_metadata"
    lines.append(_check(f"{count} INTO found;", f"{described.large_objects.rows}", "large objects"))
    for counter in described.sequences:
        query = f"SELECT (last_value >= {counter.last_value})::text FROM {counter.name}"  # noqa: S608
        lines.append(_check(f"{query} INTO found;", "true", f"sequence {counter.name}"))
    return ("\n".join(lines) + "\n").encode()


def _table_check(table: Table, *, same_major: bool) -> str:
    hashed = postgresql_state.expression(f"{_literal(table.name)}::regclass")
    if not same_major:
        hashed = "'0'"
    query = postgresql_state.question(table.name, "\0")
    before, _, after = query.partition("\0")
    found = "rows_found" if not same_major else "rows_found || ' ' || sum_found"
    expected = f"{table.rows}" if not same_major else f"{table.rows} {table.checksum}"
    return _check(
        f"SELECT {hashed} INTO hashed;\n"
        f"EXECUTE {_literal(before)} || hashed || {_literal(after)} INTO rows_found, sum_found;\n"
        f"found := {found};",
        expected,
        table.name,
    )


def _literal(text: str) -> str:
    escaped = text.replace("'", "''").replace("\\", "\\\\")
    return f"E'{escaped}'"


def _check(statements: str, expected: str, name: str) -> str:
    tag = f"$q{secrets.token_hex(8)}$"  # a name may hold any text, but not this one
    told = _literal(f"{MISMATCH}: {name}: expected {expected}, found ")
    return (
        f"DO {tag} DECLARE rows_found text; sum_found text; hashed text; found text; BEGIN\n"
        f"{statements}\nIF found IS DISTINCT FROM {_literal(expected)} THEN\n"
        f"RAISE EXCEPTION USING MESSAGE = {told} || coalesce(found, 'nothing'); END IF; END {tag};"
    )


def is_empty(using: str) -> bool:
    """Return whether the database holds no relation, large object or schema of anybody's."""
    with connect(using) as session:
        row = session.execute(
            "SELECT NOT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_'"
            " AND n.nspname <> 'information_schema')"
            " AND NOT EXISTS (SELECT 1 FROM pg_largeobject_metadata)"
        ).fetchone()
    return bool(row and row[0])
