"""The table of an exchange as each database knows it: its lock, its trigger, what has changed."""

from __future__ import annotations

import logging
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import OperationalError, models, transaction
from django.db.models import Q
from django.db.models.expressions import RawSQL

from encryption.batches import write_first
from encryption.operations.stages import field_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

T = TypeVar("T")
LONGEST_NAME = 60  # characters; PostgreSQL takes 63 bytes
LOCK_SECONDS = 2  # all who come after a lock that is waited for wait too, the site's readers first
PAUSE_SECONDS = 5
ATTEMPTS = 100

logger = logging.getLogger("encryption")


@dataclass(frozen=True)
class Table:
    """A table whose column ``first`` is taken over by its column ``second``."""

    editor: BaseDatabaseSchemaEditor
    model: type[models.Model]
    first: str
    second: str

    @property
    def using(self) -> str:
        """The database."""
        return str(self.editor.connection.alias)

    @property
    def name(self) -> str:
        """The table's name, quoted."""
        return self.editor.quote_name(self.model._meta.db_table)

    @property
    def _is_postgresql(self) -> bool:
        return self.editor.connection.vendor == "postgresql"

    # --- the lock ---------------------------------------------------------------------------------

    def alone(self, act: Callable[[], T], *, before: Callable[[], None] = lambda: None) -> T:
        """Do something in a transaction during which nobody else is in the table.

        ``before`` is done ahead of each attempt. A lock that is not to be had in LOCK_SECONDS is
        given up, so that nobody queues behind it, and tried again; raises OperationalError when
        ATTEMPTS have failed.
        """
        for left in reversed(range(ATTEMPTS)):
            before()
            try:
                with transaction.atomic(using=self.using):
                    self._lock()
                    return act()
            except OperationalError as failure:
                if not left or not _is_busy(failure):
                    failure.add_note("Run the migration again; it goes on where it stopped.")
                    raise
            logger.warning("%s is in use by a long transaction; trying again.", self.name)
            time.sleep(PAUSE_SECONDS)
        raise AssertionError  # the last attempt returned or raised

    def _lock(self) -> None:
        if self._is_postgresql:
            self.editor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            self.editor.execute(f"LOCK TABLE {self.name} IN ACCESS EXCLUSIVE MODE")
        else:
            write_first(self.model, using=self.using)

    # --- what writers change meanwhile ------------------------------------------------------------

    def watch(self) -> None:
        """Empty the second column wherever the first one changes, from this transaction on.

        A trigger that a killed run left is replaced, never dropped: rows changed while there is
        none would keep the older value in the second column.
        """
        execute, trigger = self.editor.execute, self._trigger
        first, second = self.column(self.first), self.column(self.second)
        if self._is_postgresql:
            execute(
                f"CREATE OR REPLACE FUNCTION {trigger}() RETURNS trigger AS $$ BEGIN "
                f"IF NEW.{first} IS DISTINCT FROM OLD.{first} "
                f"THEN NEW.{second} := NULL; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
            )
            execute(
                f"CREATE OR REPLACE TRIGGER {trigger} BEFORE UPDATE ON {self.name} "
                f"FOR EACH ROW EXECUTE FUNCTION {trigger}()"
            )
        else:
            execute(
                f"CREATE TRIGGER IF NOT EXISTS {trigger} "  # noqa: S608 - names, quoted
                f"AFTER UPDATE OF {first} ON {self.name} "
                f"BEGIN UPDATE {self.name} SET {second} = NULL WHERE rowid = NEW.rowid; END"
            )

    def unwatch(self) -> None:
        """Drop the trigger; only where the exchange ends in the same transaction."""
        if self._is_postgresql:
            self.editor.execute(f"DROP TRIGGER IF EXISTS {self._trigger} ON {self.name}")
            self.editor.execute(f"DROP FUNCTION IF EXISTS {self._trigger}()")
        else:
            self.editor.execute(f"DROP TRIGGER IF EXISTS {self._trigger}")

    def moment(self) -> str:
        """Return a mark of now, for :meth:`changed_since`."""
        if not self._is_postgresql:
            return ""
        with self.editor.connection.cursor() as cursor:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::xid::text")
            return str(cursor.fetchone()[0])

    def changed_since(self, moment: str) -> Q:
        """Match the rows that anybody has written since, or was writing then; maybe some more.

        The trigger is not asked: replication, ``session_replication_role`` and triggers of the
        site's own pass it by. PostgreSQL keeps in each row the transaction that wrote it. SQLite
        has no way around a trigger, so there a row that was compared stays as it was.
        """
        if not self._is_postgresql:
            return Q(pk__in=())
        truth = models.BooleanField()
        return Q(RawSQL("age(xmin) <= age(%s::xid)", [moment], output_field=truth))

    # --- names ------------------------------------------------------------------------------------

    def column(self, name: str) -> str:
        """Return the column of a field, quoted."""
        return self.editor.quote_name(str(field_of(self.model, name).column))

    @property
    def _trigger(self) -> str:
        column = field_of(self.model, self.first).column
        name = f"{self.model._meta.db_table}_{column}_exchange"
        return self.editor.quote_name(name[-LONGEST_NAME:])


def _is_busy(failure: Any) -> bool:
    """Return whether a lock was not to be had in time."""
    cause = failure.__cause__
    return (
        getattr(cause, "sqlstate", "") == "55P03"  # lock_not_available
        or getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
    )
