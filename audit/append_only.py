"""The database's own refusal: triggers that let rows in and nothing out.

``save()`` and the QuerySet refuse as well, with a better sentence; the triggers refuse whoever
comes past them: raw SQL, another program, an injected statement. On PostgreSQL ``UPDATE``,
``DELETE`` and ``TRUNCATE`` are refused, on SQLite ``UPDATE`` and ``DELETE``. They do not stop
somebody who may change the schema; :mod:`audit.sealing` makes visible what such a one does.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.backends.base.creation import TEST_DATABASE_PREFIX
from django.db.migrations import RunPython

from garrison.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

LEAST_AGE_DAYS = 7  # what is younger, retention cannot remove either; the triggers hold the number
DOOR = "garrison.allow_prune"  # a setting of PostgreSQL's, which only one transaction sees
EVENTS, SEALS, CHECKPOINTS = "audit_securityevent", "audit_eventseal", "audit_checkpoint"
AGED_BY = {EVENTS: "at", SEALS: "sealed_at", CHECKPOINTS: "at"}  # the column that tells the age

_POSTGRESQL = """
CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('{door}', true) = 'on' THEN
        IF OLD.{at} < now() - interval '{days} days' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION '{sentence}' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE OR REPLACE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {table}_refuse();
CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse();
"""
_POSTGRESQL_REMOVE = """
DROP TRIGGER {table}_no_truncate ON {table};
DROP TRIGGER {table}_no_change ON {table};
DROP FUNCTION {table}_refuse();
"""
_POSTGRESQL_ALLOW_CHANGE = "DROP TRIGGER IF EXISTS {table}_no_change ON {table}"
_POSTGRESQL_PERMIT = "ALTER TABLE {table} DISABLE TRIGGER {table}_no_truncate"
_SQLITE_UPDATE = """
CREATE TRIGGER IF NOT EXISTS {table}_no_update BEFORE UPDATE ON {table}
BEGIN SELECT RAISE(ABORT, '{sentence}'); END
"""
_SQLITE_DELETE = """
CREATE TRIGGER IF NOT EXISTS {table}_no_delete BEFORE DELETE ON {table}
BEGIN SELECT RAISE(ABORT, '{sentence}'); END
"""
_SQLITE_DELETE_YOUNG = """
CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
WHEN OLD.{at} >= datetime('now', '-{days} days')
BEGIN SELECT RAISE(ABORT, '{sentence}'); END
"""
_SQLITE_DROP_DELETE = "DROP TRIGGER IF EXISTS {table}_no_delete"
_SQLITE_DROP_UPDATE = "DROP TRIGGER IF EXISTS {table}_no_update"
_DOOR_OPENS = "SELECT set_config('{door}', 'on', true)"
_DOOR_SHUTS = "SELECT set_config('{door}', 'off', true)"

NO_TRUNCATE = "_no_truncate"
_NAMES = {"postgresql": ("_no_change", NO_TRUNCATE), "sqlite": ("_no_update", "_no_delete")}
_PRESENT = {
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D' AND tgrelid IN "
    "(to_regclass(%s), to_regclass(%s), to_regclass(%s))",
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (%s, %s, %s)",
}


def protection(*tables: str) -> RunPython:
    """Return the operation of a migration that puts the triggers of these tables in place."""
    return RunPython(
        lambda _, editor: _protect(editor.connection, [*tables]),
        lambda _, editor: _unprotect(editor.connection, [*tables]),
    )


def protect(connection: BaseDatabaseWrapper) -> list[str]:
    """Put in place whichever trigger is missing; return the tables that are kept so."""
    tables = _tables(connection) if connection.vendor in _NAMES else []
    _protect(connection, tables)
    return tables


def _protect(connection: BaseDatabaseWrapper, tables: list[str]) -> None:
    _run(connection, tables, postgresql=[_POSTGRESQL], sqlite=[_SQLITE_UPDATE, _SQLITE_DELETE])


def _unprotect(connection: BaseDatabaseWrapper, tables: list[str]) -> None:
    statements = [_SQLITE_DROP_DELETE, _SQLITE_DROP_UPDATE]
    _run(connection, tables, postgresql=[_POSTGRESQL_REMOVE], sqlite=statements)


def _tables(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
    return [table for table in AGED_BY if table in present]


def _run(connection: BaseDatabaseWrapper, tables: list[str], **statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for table in tables:
            parts = {
                "table": table,
                "at": AGED_BY[table],
                "door": DOOR,
                "days": LEAST_AGE_DAYS,
                "sentence": f"{table} is append-only: security events and what seals them are "
                "added and never changed or removed.",
            }
            for statement in statements.get(connection.vendor, []):
                cursor.execute(statement.format(**parts))


@contextmanager
def door_open(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let retention remove rows older than seven days, in one transaction of this connection.

    Nothing else opens: younger rows, changes and ``TRUNCATE`` are refused as before, and other
    connections see no difference. The caller says with an event what it removed.
    """
    tables = _tables(connection)
    with transaction.atomic(using=connection.alias):
        opening = [_SQLITE_DROP_DELETE, _SQLITE_DELETE_YOUNG]
        _run(connection, tables, postgresql=[_DOOR_OPENS], sqlite=opening)
        yield
        shutting = [_SQLITE_DROP_DELETE, _SQLITE_DELETE]
        _run(connection, tables, postgresql=[_DOOR_SHUTS], sqlite=shutting)


@contextmanager
def changing_events(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let a migration correct events inside its own transaction, which shuts everybody else out."""
    if not connection.in_atomic_block:
        raise ConfigurationError("Events are corrected in one transaction or not at all.")
    _run(connection, [EVENTS], postgresql=[_POSTGRESQL_ALLOW_CHANGE], sqlite=[_SQLITE_DROP_UPDATE])
    yield
    _protect(connection, [EVENTS])


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Name the triggers that should be there and are not; none where the tables are not yet."""
    question = _PRESENT.get(connection.vendor)
    if not question:
        return []
    with connection.cursor() as cursor:
        cursor.execute(question, [*AGED_BY])
        present = {row[0] for row in cursor.fetchall()}
    due = [f"{table}{name}" for table in _tables(connection) for name in _NAMES[connection.vendor]]
    return sorted(name for name in due if name not in present)


def permit_flush(connection: BaseDatabaseWrapper) -> None:
    """Let a *test* database be emptied between tests; any other database is refused.

    Django's ``TransactionTestCase`` empties every table after each test, by ``TRUNCATE`` on
    PostgreSQL and by ``DELETE`` on SQLite. Call this once, after the test database is made.
    """
    if not _is_test_database(connection):
        raise ConfigurationError(
            f"{connection.settings_dict['NAME']!r} is not a test database; its evidence stays."
        )
    tables = _tables(connection)
    _run(connection, tables, postgresql=[_POSTGRESQL_PERMIT], sqlite=[_SQLITE_DROP_DELETE])


def _is_test_database(connection: BaseDatabaseWrapper) -> bool:
    name = str(connection.settings_dict["NAME"])
    named_for_tests = connection.settings_dict.get("TEST", {}).get("NAME")
    is_named_so = name == str(named_for_tests) or name.startswith(TEST_DATABASE_PREFIX)
    return is_named_so or "mode=memory" in name
