"""The column in a query: read with its row, and refused where only clear text could work."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.expressions import Col
from django.db.models.lookups import IsNull, Lookup

from encryption.ciphertext import Bare, Selected
from encryption.errors import ExpressionRefused, QueryRefused
from encryption.fields.compiling import require_opened
from encryption.fields.rows import identity_field

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.sql.compiler import SQLCompiler

    from encryption.fields.encrypted import Encrypted


class Reading(enum.Enum):
    """How the values of a column arrive, decided when its SQL is made."""

    RAW = enum.auto()  # raw(): nobody asked us for SQL
    INSTANCE = enum.auto()  # into a model instance, opened when looked at
    VALUE = enum.auto()  # values(), annotations: opened at once


class CiphertextCol(Col):
    """The stored bytes as they are, without a row: for grouping, ``isnull`` and rotation."""

    def __init__(self, alias: str | None, target: models.Field[Any, Any], *_: Any) -> None:
        """Return bytes, whatever the field would make of them."""
        super().__init__(alias, target, models.BinaryField())  # type: ignore[arg-type]

    def get_db_converters(self, connection: BaseDatabaseWrapper) -> list[Any]:  # noqa: ARG002
        """Convert nothing."""
        return []


class EncryptedCol(Col):
    """A column that selects its row beside its envelope.

    Binding a value to its row means that the row must be known where the value is read; and in
    ``values()``, across joins and in annotations there is no instance to ask. So the row travels
    with the value, in one expression, wherever Django selects the column.
    """

    reading = Reading.RAW

    @property
    def encrypted(self) -> Encrypted[Any, Any]:
        """The field."""
        field: Encrypted[Any, Any] = self.target  # type: ignore[assignment]
        return field

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[()]]:
        """Select mark, row and envelope; refuse everything that is not a SELECT list."""
        require_opened(self)
        is_default = bool(compiler.query.default_cols)
        is_annotation = any(self is a for a in compiler.query.annotation_select.values())
        self.reading = Reading.INSTANCE if is_default and not is_annotation else Reading.VALUE
        row = self.encrypted.identity()
        envelope, _ = super().as_sql(compiler, connection)
        identity, _ = Col(self.alias, row).as_sql(compiler, connection)
        return _joined(connection.vendor, identity, envelope), ()

    def bare(self) -> CiphertextCol:
        """Return the stored bytes alone."""
        return CiphertextCol(self.alias, self.target)

    def get_group_by_cols(self) -> list[Any]:
        """Group by the row too: two envelopes are never alike, and the SELECT names both."""
        row = identity_field(self.encrypted.model)
        return [self.bare(), *([Col(self.alias, row)] if row is not None else [])]

    def get_db_converters(
        self,
        connection: BaseDatabaseWrapper,  # noqa: ARG002 - Django's signature
    ) -> list[Callable[..., Any]]:
        """Open at once for ``values()``; leave instances closed until they are looked at."""
        if self.reading is Reading.VALUE:
            return [self.encrypted.read_value]
        if self.reading is Reading.RAW:
            return [_to_bare]
        return [_to_selected] if self.encrypted.closed_type is Selected else []


def _joined(vendor: str, row: str, envelope: str) -> str:
    if vendor == "postgresql":
        return f"'\\xa1'::bytea || uuid_send({row}) || {envelope}"
    if vendor == "sqlite":
        return f"CAST('A' || {row} || {envelope} AS BLOB)"
    raise ExpressionRefused(
        f"Encrypted columns are read on PostgreSQL and SQLite; this database is {vendor}."
    )


def _to_bare(value: Any, expression: Any, connection: Any) -> Bare | None:  # noqa: ARG001
    return None if value is None else Bare(value)


def _to_selected(value: Any, expression: Any, connection: Any) -> Selected | None:  # noqa: ARG001
    return None if value is None else Selected(value)


class EncryptedIsNull(IsNull):
    """``isnull``: the only question an encrypted column answers."""

    def process_lhs(self, compiler: Any, connection: Any, lhs: Any = None) -> Any:
        """Look at the stored bytes."""
        lhs = lhs or self.lhs
        return super().process_lhs(
            compiler, connection, lhs.bare() if isinstance(lhs, EncryptedCol) else lhs
        )


class RefusedExact(Lookup):
    """``exact``: Django turns ``None`` into ``isnull`` before it gets here; the rest is refused."""

    lookup_name = "exact"

    def __init__(self, lhs: Any, rhs: Any) -> None:
        """Refuse, unless Django is about to ask for ``isnull``."""
        if rhs is not None:
            raise QueryRefused(lhs.output_field.no_lookup("exact"))
        super().__init__(lhs, rhs)

    def get_prep_lookup(self) -> Any:
        """Prepare nothing."""
        return self.rhs
