"""``update()`` and ``bulk_update()`` for encrypted columns: one value per row, each its own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from django.db import NotSupportedError, connections, models, transaction

from encryption.batches import ROWS_PER_BATCH, write_cells
from encryption.blind_index import indexes_of
from encryption.errors import ExpressionRefused
from encryption.fields.encrypted import Encrypted
from encryption.fields.saving import sealed_value, subject_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from encryption.ciphertext import Bound

M = TypeVar("M", bound=models.Model)


@dataclass(frozen=True, slots=True, repr=False)
class _Clear:
    """A clear value on its way, which no report of a frame shows."""

    value: Any

    def __repr__(self) -> str:
        """Show that there is one."""
        return "<clear value>"


Sealing: TypeAlias = "dict[Encrypted[Any, Any], _Clear]"


class EncryptedQuerySet(models.QuerySet[M]):
    """A queryset whose writes seal encrypted values row by row, in one transaction.

    Reading needs nothing of it: a plain manager reads encrypted columns just as well.
    """

    seals_values = True  # what the check of fields looks for

    def update(self, **values: Any) -> int:
        """Update the rows; an encrypted value is sealed anew for each of them.

        The rows are locked first, so the cost is one read and one write per row instead of one
        statement. A blind index of a field follows it. Expressions are refused for encrypted
        fields.
        """
        sealed = {f: _Clear(values.pop(f.name)) for f in self._encrypted_in(values)}
        if not sealed:
            return super().update(**values)
        self._refuse_expressions(sealed)
        for field, clear in sealed.items():
            values.update({i.name: i.digest_or_none(clear.value) for i in indexes_of(field)})
        with transaction.atomic(using=self.db, savepoint=False):
            return sum(
                self._update_rows(rows, sealed, values) for rows in self._locked_rows(sealed)
            )

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark against templates

    def bulk_update(
        self, objs: Iterable[M], fields: Iterable[str], batch_size: int | None = None
    ) -> int:
        """Update each object's fields; encrypted ones are sealed for their rows."""
        names = list(fields)
        sealed = self._encrypted_in(names)
        if not sealed:
            return super().bulk_update(objs, names, batch_size)
        items = list(objs)
        indexes = [index for field in sealed for index in indexes_of(field)]
        clear = [n for n in names if n not in {f.name for f in sealed}]
        clear += [i.name for i in indexes if i.name not in clear]
        with transaction.atomic(using=self.db, savepoint=False):
            for index, item in ((i, item) for item in items for i in indexes):
                index.pre_save(item, False)
            written = write_sealed(
                self.db,
                sealed,
                [(o.pk, [sealed_value(f, o, add=False) for f in sealed]) for o in items],
            )
            return super().bulk_update(items, clear, batch_size) if clear else written

    bulk_update.alters_data = True  # type: ignore[attr-defined]

    def _encrypted_in(self, names: Collection[str]) -> list[Encrypted[Any, Any]]:
        found = []
        for name in names:
            field = self.model._meta.get_field(name) if name != "pk" else None
            if isinstance(field, Encrypted):
                found.append(field)
        return found

    def _refuse_expressions(self, sealed: Sealing) -> None:
        for field, clear in sealed.items():
            if hasattr(clear.value, "resolve_expression"):
                raise ExpressionRefused(field.no_expression())
        if self.query.is_sliced:
            raise TypeError("Cannot update a query once a slice has been taken.")
        if self.query.combinator:
            raise NotSupportedError(f"update() after {self.query.combinator}() is not supported.")

    def _locked_rows(self, sealed: Sealing) -> Iterator[list[dict[str, Any]]]:
        """Return key, row identity and subject of each row, locked, some at a time."""
        found: models.QuerySet[M] = self.order_by("pk").select_related(None)
        is_plain = len(self.query.alias_map) <= 1 and not self.query.distinct
        if not is_plain or self.query.group_by is not None:
            # A lock needs the rows of one table; the question goes into a subquery.
            keys = self.order_by().values("pk")
            base = self.model._base_manager.using(self.db)
            found = base.filter(pk__in=keys).order_by("pk")
        if connections[self.db].features.has_select_for_update:
            found = found.select_for_update(of=("self",) if is_plain else ())
        names = {"pk", *(f.identity().attname for f in sealed), *(f.subject for f in sealed)}
        rows = iter(list(found.values(*(names - {""}))))
        while batch := list(islice(rows, ROWS_PER_BATCH)):
            yield batch

    def _update_rows(
        self,
        rows: list[dict[str, Any]],
        sealed: Sealing,
        clear: dict[str, Any],
    ) -> int:
        keys = [row["pk"] for row in rows]
        cells = [(row["pk"], _sealed_cells(row, sealed)) for row in rows]
        write_sealed(self.db, list(sealed), cells)
        if clear:
            base = self.model._base_manager.using(self.db)
            models.QuerySet.update(base.filter(pk__in=keys), **clear)
        return len(rows)


def _sealed_cells(row: dict[str, Any], sealed: Sealing) -> list[Bound | None]:
    cells: list[Bound | None] = []
    for field, clear in sealed.items():
        identity = field.row_of(row[field.identity().attname])
        subject = subject_name(field, row[field.subject]) if field.subject else ""
        if clear.value is None:
            cells.append(None)
        else:
            cells.append(field.seal(clear.value, row=identity, subject=subject))
    return cells


def write_sealed(
    using: str,
    fields: Sequence[Encrypted[Any, Any]],
    rows: Sequence[tuple[Any, Sequence[Bound | None]]],
) -> int:
    """Write sealed values by primary key, in one batch per table of the model."""
    connection, written = connections[using], 0
    for owner in dict.fromkeys(field.model for field in fields):
        own = [(n, field) for n, field in enumerate(fields) if field.model is owner]
        prepared = [
            (pk, [field.get_db_prep_save(cells[n], connection) for n, field in own])
            for pk, cells in rows
        ]
        columns = [str(field.column) for _, field in own]
        written = max(written, write_cells(owner, columns, prepared, using=using))
    return written


class EncryptedManager(models.Manager.from_queryset(EncryptedQuerySet)):  # type: ignore[misc]
    """``objects = EncryptedManager()``: a manager whose bulk writes know encrypted fields."""
