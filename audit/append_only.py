"""The database's own refusal: triggers that let rows in and nothing out.

``save()`` and the QuerySet refuse as well, with a better sentence; the triggers refuse whoever
comes past them: raw SQL, another program, an injected statement. On PostgreSQL ``UPDATE``,
``DELETE`` and ``TRUNCATE`` are refused, on SQLite ``UPDATE`` and ``DELETE``. They do not stop
somebody who may change the schema; sealing is there for that.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.backends.base.creation import TEST_DATABASE_PREFIX

from garrison.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "audit_securityevent"
LEAST_AGE_DAYS = 7  # what is younger, retention cannot remove either; the triggers hold the number
DOOR = "garrison.allow_prune"  # a setting of PostgreSQL's, which only one transaction sees

_SENTENCE = f"{TABLE} is append-only: security events are added and never changed or removed."

_POSTGRESQL = f"""
CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('{DOOR}', true) = 'on' THEN
        IF OLD.at < now() - interval '{LEAST_AGE_DAYS} days' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION '{_SENTENCE}' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE OR REPLACE TRIGGER {TABLE}_no_change BEFORE UPDATE OR DELETE ON {TABLE}
    FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse();
CREATE OR REPLACE TRIGGER {TABLE}_no_truncate BEFORE TRUNCATE ON {TABLE}
    FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_refuse();
"""
_POSTGRESQL_REMOVE = f"""
DROP TRIGGER {TABLE}_no_truncate ON {TABLE};
DROP TRIGGER {TABLE}_no_change ON {TABLE};
DROP FUNCTION {TABLE}_refuse();
"""
_SQLITE_UPDATE = f"""
CREATE TRIGGER IF NOT EXISTS {TABLE}_no_update BEFORE UPDATE ON {TABLE}
BEGIN SELECT RAISE(ABORT, '{_SENTENCE}'); END
"""
_SQLITE_DELETE = f"""
CREATE TRIGGER IF NOT EXISTS {TABLE}_no_delete BEFORE DELETE ON {TABLE}
BEGIN SELECT RAISE(ABORT, '{_SENTENCE}'); END
"""
_SQLITE_DELETE_YOUNG = f"""
CREATE TRIGGER {TABLE}_no_delete BEFORE DELETE ON {TABLE}
WHEN OLD.at >= datetime('now', '-{LEAST_AGE_DAYS} days')
BEGIN SELECT RAISE(ABORT, '{_SENTENCE}'); END
"""
_SQLITE_DROP_DELETE = f"DROP TRIGGER IF EXISTS {TABLE}_no_delete"
_SQLITE_DROP_UPDATE = f"DROP TRIGGER IF EXISTS {TABLE}_no_update"


_NAMES = {
    "postgresql": {f"{TABLE}_no_change", f"{TABLE}_no_truncate"},
    "sqlite": {f"{TABLE}_no_update", f"{TABLE}_no_delete"},
}
_PRESENT = {
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgenabled <> 'D'",
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s",
}


def install(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001 - a migration's signature
    """Put the triggers in place; for the migration."""
    protect(schema_editor.connection)


def protect(connection: BaseDatabaseWrapper) -> None:
    """Put in place whichever trigger is missing; the others stay."""
    _run(connection, postgresql=[_POSTGRESQL], sqlite=[_SQLITE_UPDATE, _SQLITE_DELETE])


def remove(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001 - a migration's signature
    """Take the triggers away; for the migration's way back."""
    _run(
        schema_editor.connection,
        postgresql=[_POSTGRESQL_REMOVE],
        sqlite=[_SQLITE_DROP_DELETE, _SQLITE_DROP_UPDATE],
    )


def _run(connection: BaseDatabaseWrapper, **statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements.get(connection.vendor, []):
            cursor.execute(statement)


@contextmanager
def door_open(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let retention remove rows older than seven days, in one transaction of this connection.

    Nothing else opens: younger rows, changes and ``TRUNCATE`` are refused as before, and other
    connections see no difference. The caller says with an event what it removed.
    """
    with transaction.atomic(using=connection.alias):
        _run(
            connection,
            postgresql=[f"SELECT set_config('{DOOR}', 'on', true)"],
            sqlite=[_SQLITE_DROP_DELETE, _SQLITE_DELETE_YOUNG],
        )
        yield
        _run(
            connection,
            postgresql=[f"SELECT set_config('{DOOR}', 'off', true)"],
            sqlite=[_SQLITE_DROP_DELETE, _SQLITE_DELETE],
        )


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Name the triggers that should be there and are not; none where the table is not yet."""
    question = _PRESENT.get(connection.vendor)
    with connection.cursor() as cursor:
        if not question or TABLE not in connection.introspection.table_names(cursor):
            return []
        cursor.execute(question, [TABLE])
        present = {row[0] for row in cursor.fetchall()}
    return sorted(_NAMES[connection.vendor] - present)


def permit_flush(connection: BaseDatabaseWrapper) -> None:
    """Let a *test* database be emptied between tests; any other database is refused.

    Django's ``TransactionTestCase`` empties every table after each test, by ``TRUNCATE`` on
    PostgreSQL and by ``DELETE`` on SQLite. Call this once, after the test database is made.
    """
    if not _is_test_database(connection):
        raise ConfigurationError(
            f"{connection.settings_dict['NAME']!r} is not a test database; its evidence stays."
        )
    _run(
        connection,
        postgresql=[f"ALTER TABLE {TABLE} DISABLE TRIGGER {TABLE}_no_truncate"],
        sqlite=[_SQLITE_DROP_DELETE],
    )


def _is_test_database(connection: BaseDatabaseWrapper) -> bool:
    name = str(connection.settings_dict["NAME"])
    named_for_tests = connection.settings_dict.get("TEST", {}).get("NAME")
    is_named_so = name == str(named_for_tests) or name.startswith(TEST_DATABASE_PREFIX)
    return is_named_so or "mode=memory" in name
