"""One column's exchange: a second column, a trigger, batches, and the moment of the change.

What is in the second column is believed only where it was compared with the first: in the batch
that wrote it, again in the passes over the table, and once more, for every row that has been
written since, under the lock in which the first column is dropped. So it makes no difference where
a run was killed, what happened before it was resumed, or who has gone around the trigger.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import RawSQL

from encryption.batches import locked, windows, write_cells, writing
from encryption.errors import DecryptionFailed, ImportRefused
from encryption.fields import Encrypted, RowSalt
from encryption.fields.rows import as_row, identity_field
from encryption.operations.stages import altered, field_of
from encryption.operations.table import Table
from garrison.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

    from encryption.operations.stages import Stages


@dataclass
class Exchange:
    """What is done to the table, and what a killed run has left to do."""

    stages: Stages
    editor: BaseDatabaseSchemaEditor
    rows_per_batch: int
    moment: str | None = None  # every row that nobody has written since was compared

    def run(self) -> None:
        """Do all of it, or the rest."""
        self._require_possible()
        if self.table.alone(self._begin):
            self.table.alone(self._finish, before=self._compare_unless_ended)

    @cached_property
    def table(self) -> Table:
        """The table."""
        return Table(self.editor, self.stages.both, self.stages.name, self.stages.beside)

    def _require_possible(self) -> None:
        """Refuse, before anything is changed, what could not be ended."""
        stages = self.stages
        pair = [field_of(model, stages.name) for model in (stages.new, stages.old)]
        encrypted = [field for field in pair if isinstance(field, Encrypted)]
        if len(encrypted) != 1:
            raise ConfigurationError(
                f"{pair[1]}: one of the two fields must be encrypted, and the other clear. To "
                "change an encrypted field, decrypt it and encrypt it anew."
            )
        if identity_field(stages.both) is None:
            raise ConfigurationError(encrypted[0].needs_row())
        if encrypted[0] is pair[0] and encrypted[0].subject:
            raise ImportRefused(
                f"{encrypted[0].place}: encrypt the column first, then give it a subject by saving."
            )

    def _begin(self) -> bool:
        """Add the second column and its trigger in one step; return whether rows are to be done."""
        stages, connection = self.stages, self.editor.connection
        if stages.is_begun(connection) and not stages.is_fit(connection):
            self.table.unwatch()  # of another field: the migration was changed meanwhile
            self.editor.remove_field(stages.both, field_of(stages.both, stages.beside))
        if not stages.is_begun(connection):
            if stages.is_done(connection):
                return False
            self.editor.add_field(stages.old, field_of(stages.both, stages.beside))
        self.table.watch()
        return True

    # --- rows -------------------------------------------------------------------------------------

    def _compare_unless_ended(self) -> None:
        """Compare; where another run ends the exchange meanwhile, leave it to ``_finish`` to see.

        What fails then is anybody's guess: the second column is gone, and the first another one.
        """
        stages, connection = self.stages, self.editor.connection
        try:
            self._compare_online()
        except Exception:
            if stages.is_begun(connection) or not stages.is_done(connection):
                raise

    def _compare_online(self) -> None:
        """Compare and fill while others write, until what they change meanwhile is little."""
        before = None
        while True:
            moment = self.table.moment()
            seen = self._compare_table()
            self.moment = moment
            if seen <= self.rows_per_batch or (before is not None and seen > before // 2):
                return  # the lock will end it
            before = seen

    def _compare_table(self) -> int:
        """Go once through what is not compared yet; what is inserted beyond the end comes later."""
        end = self._rows().order_by("-pk").values_list("pk", flat=True).first()
        if end is None:
            return 0
        rows = self._rows() if self.moment is None else self._rows(self._due())
        rows = rows.filter(pk__lte=end)
        table = windows(
            self.stages.both, using=self.table.using, size=self.rows_per_batch, until=end
        )
        return sum(self._compare_window(rows, after, last) for after, last in table)

    def _compare_window(self, rows: models.QuerySet[Any], after: Any, last: Any | None) -> int:
        """Compare the rows between two keys, and fill those that differ; return how many rows."""
        rows = rows if after is None else rows.filter(pk__gt=after)
        rows = rows if last is None else rows.filter(pk__lte=last)
        seen, wrong = self._compare(rows)
        self._fill(wrong, is_alone=False)
        return seen

    def _finish(self) -> None:
        """Compare what was written since, and let the second column take the first one's place."""
        if not self.stages.is_begun(self.editor.connection):
            return  # another run has ended it meanwhile
        due = list(self._rows(self._due()).values_list("pk", flat=True))
        for start in range(0, len(due), self.rows_per_batch):
            rows = self._rows(pk__in=due[start : start + self.rows_per_batch])
            self._fill(self._compare(rows)[1], is_alone=True)
        self.table.unwatch()
        self._take_over()

    def _rows(self, *conditions: Q, **exact: Any) -> models.QuerySet[Any]:
        rows = self.stages.both._base_manager.using(self.table.using)
        return rows.filter(*conditions, **exact)

    def _due(self) -> Q:
        """Match the rows that were not compared as they are now."""
        first, second = (self._is_set(name) for name in (self.stages.name, self.stages.beside))
        due = Q(first) & ~Q(second)
        if isinstance(self._identity, RowSalt):
            due |= Q(**{f"{self._identity.name}__isnull": True})
        return due | self.table.changed_since(self.moment or "")

    def _compare(self, rows: models.QuerySet[Any]) -> tuple[int, list[Any]]:
        """Return how many rows there are, and the keys of those whose second column is wrong."""
        name, beside, seen, wrong = self.stages.name, self.stages.beside, 0, []
        for pk, identity, has_first, has_second, first, second in rows.values_list(
            "pk",
            self._identity.attname,
            self._is_set(name),
            self._is_set(beside),
            self._stored(name),
            self._stored(beside),
        ):
            seen += 1
            row = as_row(identity)
            is_kept = row is not None and has_first == has_second
            if not (is_kept and (not has_first or self._is_same(row, first, second))):
                wrong.append(pk)
        return seen, wrong

    def _is_same(self, row: Any, first: Any, second: Any) -> bool:
        """Return whether both columns of a row hold one value."""
        target = field_of(self.stages.both, self.stages.beside)
        if not isinstance(target, Encrypted):
            value = self._opened(row, first)
            return bool(value == second or value != value)  # noqa: PLR0124 - not a number
        try:
            opened = target.cipher.open(bytes(second), row)
        except DecryptionFailed:  # a key that is gone since: the first column still has the value
            return False
        return bool(opened == target.codec.encode(target.base, first))

    def _opened(self, row: bytes, envelope: Any) -> Any:
        return field_of(self.stages.both, self.stages.name).open_envelope(bytes(envelope), row)

    def _fill(self, keys: list[Any], *, is_alone: bool) -> None:
        """Write the second column of some rows, and compare; rows that others hold come later."""
        if not keys:
            return
        both, using = self.stages.both, self.table.using
        with writing(both, using=using):
            rows = locked(
                self._rows(pk__in=keys), after=None, last=None, skip_locked=not is_alone
            ).values_list(
                "pk",
                self._identity.attname,
                self._is_set(self.stages.name),
                self._stored(self.stages.name),
            )
            filled = self._write(rows)
            _, wrong = self._compare(self._rows(pk__in=keys if is_alone else filled))
        if wrong:
            raise ImportRefused(
                f"{both._meta.label} {wrong[0]}: its {self.stages.name!r} does not come back from "
                "the new column as it was. Nothing was dropped. Correct the row, or give the "
                "migration a field that can hold it, and run it again."
            )

    def _write(self, rows: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Write cells of rows that are locked, and a salt into each that has none; return keys."""
        cells, salts, salt = [], [], self._identity
        for pk, identity, has_value, stored in rows:
            known = identity
            if isinstance(salt, RowSalt) and identity is None:  # a row of the old release
                known = uuid.uuid4()
                salts.append((pk, [salt.get_db_prep_save(known, self.editor.connection)]))
            cells.append((pk, [self._cell(known, stored) if has_value else None]))
        both, using = self.stages.both, self.table.using
        write_cells(both, [str(salt.column)], salts, using=using)
        second = field_of(both, self.stages.beside)
        write_cells(both, [str(second.column)], cells, using=using)
        return [pk for pk, _ in cells]

    def _cell(self, identity: Any, stored: Any) -> Any:
        target, connection = field_of(self.stages.both, self.stages.beside), self.editor.connection
        if isinstance(target, Encrypted):
            value = target.seal(stored, row=target.row_of(identity))
        else:
            value = self._opened(as_row(identity) or b"", stored)
        if value is None:  # JSON's null, which is no NULL
            return target.get_db_prep_value(None, connection)
        return target.get_db_prep_save(value, connection)

    @cached_property
    def _identity(self) -> models.Field[Any, Any]:
        """The column that stands for the row."""
        found = identity_field(self.stages.both)
        assert found is not None  # noqa: S101 - _require_possible has looked
        return found

    def _stored(self, name: str) -> Any:
        """Select a column: a clear one's values, an encrypted one's envelopes."""
        if not isinstance(field_of(self.stages.both, name), Encrypted):
            return F(name)
        return RawSQL(self.table.column(name), (), output_field=models.BinaryField())  # noqa: S611

    def _is_set(self, name: str) -> RawSQL:
        truth = models.BooleanField()
        return RawSQL(f"{self.table.column(name)} IS NOT NULL", (), output_field=truth)  # noqa: S611

    # --- the moment of the change -----------------------------------------------------------------

    def _take_over(self) -> None:
        """Drop the old column; the second one takes its name, constraints and indexes."""
        stages = self.stages
        self.editor.remove_field(stages.both, field_of(stages.both, stages.name))
        second = field_of(stages.without_old, stages.beside)
        self.editor.alter_field(stages.without_old, second, stages.final())
        self._settle_salts()

    def _settle_salts(self) -> None:
        """Refuse rows without a salt from now on, or, on the way back, no longer.

        The old release would go on making them, and the migration's own ``AlterField`` writes one
        value into all that it finds.
        """
        salt = field_of(self.stages.new, self._identity.name)
        if isinstance(salt, RowSalt) and salt.null:
            strict = altered(salt, null=False, default=None)
            is_encrypting = isinstance(self.stages.final(), Encrypted)
            change = (salt, strict) if is_encrypting else (strict, salt)
            self.editor.alter_field(self.stages.new, *change)
