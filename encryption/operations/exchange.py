"""One column's exchange: a second column, a trigger, batches, and the moment of the change."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction

from encryption.batches import locked, windows, write_cells
from encryption.errors import ImportRefused
from encryption.fields import Encrypted, RowSalt
from encryption.fields.rows import identity_field
from encryption.operations.stages import field_of
from garrison.errors import ConfigurationError

if TYPE_CHECKING:
    from django.db import models
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

    from encryption.operations.stages import Stages

LONGEST_NAME = 60  # bytes; PostgreSQL takes 63


@dataclass
class Exchange:
    """What is done to the table, and what a killed run has left to do."""

    stages: Stages
    editor: BaseDatabaseSchemaEditor
    rows_per_batch: int

    def run(self) -> None:
        """Do all of it, or the rest."""
        stages, connection = self.stages, self.editor.connection
        if stages.is_done(connection):
            return
        if not stages.is_begun(connection):
            self.editor.add_field(stages.old, field_of(stages.both, stages.beside))
        self._watch()
        self._fill_online()
        with transaction.atomic(using=self.using):
            self._lock()
            while self._is_due():
                self._fill()
            self._unwatch()
            self._take_over()

    @property
    def using(self) -> str:
        """The database."""
        return str(self.editor.connection.alias)

    # --- filling ----------------------------------------------------------------------------------

    def _fill_online(self) -> None:
        """Fill while others write, until what they change meanwhile is little, or stays as much."""
        filled = self._fill()
        while filled > self.rows_per_batch:
            before, filled = filled, self._fill()
            if filled > before // 2:
                return  # the lock will end it

    def _fill(self) -> int:
        """Go through the table once; return how many cells were filled."""
        table = windows(self.stages.both, using=self.using, size=self.rows_per_batch)
        return sum(self._fill_window(after, last) for after, last in table)

    def _fill_window(self, after: Any, last: Any | None) -> int:
        """Fill the second column of the rows between two keys, in one transaction."""
        with transaction.atomic(using=self.using):
            self._fill_salts(after, last)
            identity, name = self._identity().attname, self.stages.name
            rows = locked(self._unfilled(), after=after, last=last).values(*{"pk", name, identity})
            cells = [(row["pk"], [self._cell(row[identity], row[name])]) for row in rows]
            self._write(self.stages.beside, cells)
        return len(cells)

    def _rows(self, **condition: Any) -> models.QuerySet[Any]:
        return self.stages.both._base_manager.using(self.using).filter(**condition)

    def _unfilled(self) -> models.QuerySet[Any]:
        stages = self.stages
        return self._rows(**{f"{stages.name}__isnull": False, f"{stages.beside}__isnull": True})

    def _is_due(self) -> bool:
        return self._unfilled().exists()

    def _fill_salts(self, after: Any, last: Any | None) -> None:
        """Write a salt into each row without one; the old release goes on making such rows."""
        salt = self._identity()
        if not isinstance(salt, RowSalt):
            return
        connection = self.editor.connection
        rows = locked(self._rows(**{f"{salt.name}__isnull": True}), after=after, last=last)
        self._write(
            salt.name,
            [
                (pk, [salt.get_db_prep_save(uuid.uuid4(), connection)])
                for pk in rows.values_list("pk", flat=True)
            ],
        )

    def _identity(self) -> models.Field[Any, Any]:
        """Return the column that stands for the row, whichever of the two is the encrypted one."""
        both = self.stages.both
        pair = [field_of(both, name) for name in (self.stages.beside, self.stages.name)]
        encrypted = next(field for field in pair if isinstance(field, Encrypted))
        found = identity_field(both)
        if found is None:
            raise ConfigurationError(encrypted.needs_row())
        return found

    def _cell(self, identity: Any, value: Any) -> Any:
        target = field_of(self.stages.both, self.stages.beside)
        if isinstance(target, Encrypted):
            if target.subject:
                raise ImportRefused(
                    f"{target.place}: encrypt the column first, then give it a subject by saving."
                )
            value = target.seal(value, row=target.row_of(identity))
        return target.get_db_prep_save(value, self.editor.connection)

    def _write(self, name: str, cells: list[tuple[Any, list[Any]]]) -> None:
        write_cells(self.stages.both, [self._column(name)], cells, using=self.using)

    # --- the moment of the change -----------------------------------------------------------------

    def _column(self, name: str) -> str:
        return str(field_of(self.stages.both, name).column)

    def _watch(self) -> None:
        """Empty the second column wherever the first one changes, so that it is filled again."""
        self._unwatch()
        quote, execute = self.editor.quote_name, self.editor.execute
        trigger, table = quote(self._trigger), quote(self.stages.table)
        first = quote(self._column(self.stages.name))
        second = quote(self._column(self.stages.beside))
        if self.editor.connection.vendor == "postgresql":
            execute(
                f"CREATE OR REPLACE FUNCTION {trigger}() RETURNS trigger AS $$ BEGIN "
                f"IF NEW.{first} IS DISTINCT FROM OLD.{first} "
                f"THEN NEW.{second} := NULL; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
            )
            execute(
                f"CREATE TRIGGER {trigger} BEFORE UPDATE ON {table} "
                f"FOR EACH ROW EXECUTE FUNCTION {trigger}()"
            )
        else:
            execute(
                f"CREATE TRIGGER {trigger} AFTER UPDATE OF {first} ON {table} "  # noqa: S608
                f"BEGIN UPDATE {table} SET {second} = NULL WHERE rowid = NEW.rowid; END"
            )

    def _unwatch(self) -> None:
        quote, execute = self.editor.quote_name, self.editor.execute
        trigger, table = quote(self._trigger), quote(self.stages.table)
        if self.editor.connection.vendor == "postgresql":
            execute(f"DROP TRIGGER IF EXISTS {trigger} ON {table}")
            execute(f"DROP FUNCTION IF EXISTS {trigger}()")
        else:
            execute(f"DROP TRIGGER IF EXISTS {trigger}")

    @property
    def _trigger(self) -> str:
        name = f"{self.stages.table}_{self._column(self.stages.name)}_exchange"
        return name[-LONGEST_NAME:]

    def _lock(self) -> None:
        if self.editor.connection.vendor == "postgresql":
            table = self.editor.quote_name(self.stages.table)
            self.editor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")

    def _take_over(self) -> None:
        """Drop the old column; the second one takes its name, constraints and indexes."""
        stages = self.stages
        self.editor.remove_field(stages.both, field_of(stages.both, stages.name))
        second = field_of(stages.without_old, stages.beside)
        self.editor.alter_field(stages.without_old, second, stages.final())
