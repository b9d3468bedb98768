"""``update()`` and ``bulk_update()`` for encrypted columns: one value per row, each its own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from django.db import NotSupportedError, connections, models, transaction

from encryption.batches import ROWS_PER_BATCH, write_cells
from encryption.blind_index import BlindIndex
from encryption.errors import ExpressionRefused
from encryption.fields import together
from encryption.fields.rows import RowSalt, keep_salt, settle_salt
from encryption.fields.saving import sealed_value
from encryption.fields.wrapping import Wrapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

M = TypeVar("M", bound=models.Model)


@dataclass(frozen=True, slots=True, repr=False)
class _Clear:
    """A clear value on its way, which no report of a frame shows."""

    value: Any

    def __repr__(self) -> str:
        """Show that there is one."""
        return "<clear value>"


AnyField: TypeAlias = "models.Field[Any, Any]"
Sealing: TypeAlias = "dict[AnyField, _Clear]"


class EncryptedQuerySet(models.QuerySet[M]):
    """A queryset whose writes seal encrypted values row by row, in one transaction.

    Reading needs nothing of it: a plain manager reads encrypted columns just as well.
    """

    seals_values = True  # what the check of fields looks for

    def update(self, **values: Any) -> int:
        """Update the rows; an encrypted value is sealed anew for each of them.

        The rows are locked and read first, so the cost is two reads and one write per row instead
        of one statement. Blind indexes follow, and a row that is given to somebody else takes its
        values with it, encrypted anew for that person. Expressions are refused for all of these.
        """
        names = {self.model._meta.get_field(name): name for name in values if name != "pk"}
        given = {
            field: _Clear(values.pop(names[field]))
            for field in _sealed_among(names)
            if isinstance(field, Wrapping) or values[names[field]] is not None
        }
        if not given:
            return super().update(**values)
        self._refuse_expressions(given)
        with transaction.atomic(using=self.db, savepoint=False):
            return sum(self._update_rows(keys, given, values) for keys in self._locked_keys())

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark against templates

    def bulk_create(self, objs: Iterable[M], *args: Any, **options: Any) -> list[M]:
        """Insert; an upsert by the rows' salts takes the objects for those rows, and no copies."""
        items = list(objs)
        fields = self.model._meta.local_concrete_fields
        salts = {field.name for field in fields if isinstance(field, RowSalt)}
        for item in items if salts & set(options.get("unique_fields") or ()) else ():
            keep_salt(item)
        made = super().bulk_create(items, *args, **options)
        for item in made if salts else ():
            settle_salt(item)
        return made

    bulk_create.alters_data = True  # type: ignore[attr-defined]

    def bulk_update(
        self, objs: Iterable[M], fields: Iterable[str], batch_size: int | None = None
    ) -> int:
        """Update each object's fields; encrypted ones are sealed for their rows.

        Refused for a value without the field that names whose it is, and the other way round.
        """
        names: dict[Any, str] = {self.model._meta.get_field(name): name for name in fields}
        sealed = _sealed_among(names)
        if not sealed:
            return super().bulk_update(objs, list(names.values()), batch_size)
        for field in sealed:
            together.refuse_parted(field, set(names), among=together.kin(field))
        items, columns = list(objs), _columns(sealed)
        clear = [name for field, name in names.items() if field not in columns]
        with transaction.atomic(using=self.db, savepoint=False):
            written = _write(self.db, items, columns)
            return super().bulk_update(items, clear, batch_size) if clear else written

    bulk_update.alters_data = True  # type: ignore[attr-defined]

    def _refuse_expressions(self, given: Sealing) -> None:
        for field, clear in given.items():
            if hasattr(clear.value, "resolve_expression"):
                raise ExpressionRefused(together.no_expression(field))
        if self.query.is_sliced:
            raise TypeError("Cannot update a query once a slice has been taken.")
        if self.query.combinator:
            raise NotSupportedError(f"update() after {self.query.combinator}() is not supported.")

    def _locked_keys(self) -> Iterator[list[Any]]:
        """Return the keys of the rows, locked, some at a time."""
        found: models.QuerySet[M] = self.order_by("pk").select_related(None)
        is_plain = len(self.query.alias_map) <= 1 and not self.query.distinct
        if not is_plain or self.query.group_by is not None:
            # A lock needs the rows of one table; the question goes into a subquery.
            keys = self.order_by().values("pk")
            base = self.model._base_manager.using(self.db)
            found = base.filter(pk__in=keys).order_by("pk")
        if connections[self.db].features.has_select_for_update:
            found = found.select_for_update(of=("self",) if is_plain else ())
        rows = iter(list(found.values_list("pk", flat=True)))
        while batch := list(islice(rows, ROWS_PER_BATCH)):
            yield batch

    def _update_rows(self, keys: list[Any], given: Sealing, clear: dict[str, Any]) -> int:
        base, columns = self.model._base_manager.using(self.db), _columns(given)
        found = base.filter(pk__in=keys).only(*_needed(columns)).select_related(None).order_by("pk")
        if connections[self.db].features.has_select_for_update:
            found = found.select_for_update()  # the tables of parents too
        rows = list(found)
        for row in rows:
            for field, held in given.items():
                is_row = isinstance(held.value, models.Model)
                setattr(row, field.name if is_row else field.attname, held.value)
        _write(self.db, rows, columns)
        if clear:
            models.QuerySet.update(base.filter(pk__in=keys), **clear)
        return len(rows)


def _sealed_among(fields: Iterable[Any]) -> list[AnyField]:
    """Return the encrypted fields, and those that name whose values they are."""
    return [f for f in fields if isinstance(f, Wrapping) or together.under_key_of(f)]


def _columns(sealed: Iterable[AnyField]) -> list[AnyField]:
    """Return every column that new values of these change: theirs, the digests, the people's."""
    reached = list(sealed)
    for field in reached:  # grows: a person reaches values, and values reach their digests
        reached += [other for other in together.companions(field) if other not in reached]
    return reached


def _needed(columns: Iterable[AnyField]) -> set[str]:
    """Return the names of the fields that are read before these are written."""
    values = [field for field in columns if isinstance(field, Wrapping)]
    identities = {field.identity().name for field in values}
    return {f.name for f in columns} | identities | {f.subject for f in values if f.subject}


def _write(using: str, rows: Sequence[models.Model], columns: Sequence[AnyField]) -> int:
    """Write the columns of each row by its key, in one statement per table of the model."""
    connection, written = connections[using], 0
    for owner in dict.fromkeys(field.model for field in columns):
        own = [field for field in columns if field.model is owner]
        cells = [
            (row.pk, [f.get_db_prep_save(_cell(f, row), connection) for f in own]) for row in rows
        ]
        written = max(written, write_cells(owner, [str(f.column) for f in own], cells, using=using))
    return written


def _cell(field: Any, row: models.Model) -> Any:
    if isinstance(field, Wrapping):
        return sealed_value(field, row, add=False)
    if isinstance(field, BlindIndex):
        return field.pre_save(row, False)
    return getattr(row, field.attname)


class EncryptedManager(models.Manager.from_queryset(EncryptedQuerySet)):  # type: ignore[misc]
    """``objects = EncryptedManager()``: a manager whose bulk writes know encrypted fields."""
