"""The trigger that empties the second column wherever the first one changes meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

LONGEST_NAME = 60  # bytes; PostgreSQL takes 63


def watch(editor: BaseDatabaseSchemaEditor, *, table: str, first: str, second: str) -> None:
    """Empty ``second`` wherever ``first`` changes, so that it is filled again."""
    unwatch(editor, table=table, first=first)
    quote = editor.quote_name
    trigger = quote(_name(table, first))
    if editor.connection.vendor == "postgresql":
        editor.execute(
            f"CREATE OR REPLACE FUNCTION {trigger}() RETURNS trigger AS $$ BEGIN "
            f"IF NEW.{quote(first)} IS DISTINCT FROM OLD.{quote(first)} "
            f"THEN NEW.{quote(second)} := NULL; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
        )
        editor.execute(
            f"CREATE TRIGGER {trigger} BEFORE UPDATE ON {quote(table)} "
            f"FOR EACH ROW EXECUTE FUNCTION {trigger}()"
        )
        return
    editor.execute(
        f"CREATE TRIGGER {trigger} AFTER UPDATE OF {quote(first)} ON {quote(table)} "  # noqa: S608
        f"BEGIN UPDATE {quote(table)} SET {quote(second)} = NULL WHERE rowid = NEW.rowid; END"
    )


def unwatch(editor: BaseDatabaseSchemaEditor, *, table: str, first: str) -> None:
    """Take the trigger away, where there is one."""
    trigger = editor.quote_name(_name(table, first))
    if editor.connection.vendor == "postgresql":
        editor.execute(f"DROP TRIGGER IF EXISTS {trigger} ON {editor.quote_name(table)}")
        editor.execute(f"DROP FUNCTION IF EXISTS {trigger}()")
        return
    editor.execute(f"DROP TRIGGER IF EXISTS {trigger}")


def _name(table: str, first: str) -> str:
    return f"{table}_{first}_exchange"[-LONGEST_NAME:]
