"""Writing: a clear value sealed for its row, and a refusal of everything that has none."""

from __future__ import annotations

from typing import Any, TypeVar

from django.core import exceptions

from encryption.errors import ExpressionRefused, UnboundValue, ValueRefused
from encryption.fields import field_checks
from encryption.fields.sealed import Bound
from encryption.fields.wrapping import Wrapping

_ST = TypeVar("_ST")
_GT = TypeVar("_GT")


class Sealing(Wrapping[_ST, _GT]):
    """The half of an encrypted field that writes."""

    def seal(self, value: Any, *, row: bytes, subject: str = "") -> Bound:
        """Encrypt a clear value for one row.

        A value of the wrong type raises :class:`~encryption.errors.ValueRefused`, which names the
        types and not the value.
        """
        if hasattr(value, "resolve_expression"):
            raise ExpressionRefused(self.no_expression())
        plaintext = self._encode(value)
        if isinstance(plaintext, str):
            kind = plaintext
            del value
            raise ValueRefused(
                f"{self.place} holds {type(self.base).__name__}; a value of type {kind} was given."
            )
        if not subject:
            return Bound(self.cipher.seal(plaintext, row))
        from encryption.shredding import key_for

        key = key_for(subject)
        return Bound(
            self.cipher.seal_for_subject(plaintext, row, key=key.material, key_uuid=key.uuid.bytes)
        )

    def _encode(self, value: Any) -> bytes | str:
        """Return the bytes, or the name of a type that does not fit, so that no value is raised."""
        try:
            return self.codec.encode(self.base, value)
        except (TypeError, ValueError, ArithmeticError, exceptions.ValidationError):
            return type(value).__name__

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002
        """Take NULL or a value sealed for its row, and nothing else."""
        if value is None or hasattr(value, "as_sql"):
            return value  # an expression is looked at by get_placeholder_sql
        if type(value) is Bound:
            return connection.Database.Binary(bytes(value))
        del value
        raise UnboundValue(
            f"A value of {self.place} was to be written without its row. Save the instance, or "
            "give the model `objects = EncryptedManager()` (encryption.querysets) for update() "
            "and bulk_update(). A migration cannot write one default into every row: add the "
            "column with null=True, or without a default."
        )

    get_db_prep_save = get_db_prep_value

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:  # noqa: ARG002
        """Refuse expressions and unsafe upserts (Django 5.2)."""
        self._refuse_unsafe(value, compiler)
        return "%s"

    def get_placeholder_sql(
        self, value: Any, compiler: Any, connection: Any
    ) -> tuple[str, tuple[Any]]:
        """Refuse expressions and unsafe upserts (Django 6.1)."""
        return self.get_placeholder(value, compiler, connection), (value,)

    def _refuse_unsafe(self, value: Any, compiler: Any) -> None:
        if hasattr(value, "as_sql"):
            raise ExpressionRefused(self.no_expression())
        field_checks.refuse_unsafe_upsert(self, getattr(compiler, "query", None))

    def no_expression(self) -> str:
        """Report why an expression cannot be stored."""
        return (
            f"{self.place} is encrypted here and not in the database, so it cannot be set from an "
            "expression such as F(). Read the rows, set the attribute, and save them; for "
            "bulk_update() give the model `objects = EncryptedManager()` (encryption.querysets)."
        )
