"""``Encrypted(models.TextField())``: any concrete field, stored as ciphertext."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, TypeVar

from django.core import exceptions
from django.db import models
from django.utils.translation import gettext_lazy as _

from encryption import blind_index
from encryption.cipher import split
from encryption.ciphertext import Selected
from encryption.errors import DecryptionFailed, ExpressionRefused, QueryRefused
from encryption.failures import report
from encryption.fields import field_checks, saving, together
from encryption.fields.columns import EncryptedCol, EncryptedIsNull, RefusedExact
from encryption.fields.reading import reader_of
from encryption.fields.rows import row_of
from encryption.fields.wrapping import Wrapping

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from encryption.ciphertext import Bare

_ST = TypeVar("_ST")
_GT = TypeVar("_GT")

TOKEN = "garrison-encrypted:"  # noqa: S105 - the mark of ciphertext in a fixture


class Encrypted(Wrapping[_ST, _GT]):
    """Wrap a concrete field, so that its column holds AES-256-GCM envelopes.

    Options (``null``, ``blank``, ``default``, ``choices``, …) are those of the wrapped field, and
    so are its validators, its form field and its Python type. ``label`` fixes the name the value
    is bound to (default ``app.model.field``); set it to the old name when a model or field is
    renamed. ``subject`` names the field of the model that says whose value it is: it is then
    encrypted under that person's own key, which can be erased (:mod:`encryption.shredding`).

    It does not hide whether a value is NULL, nor its length to within the type's encoding.
    """

    def contribute_to_class(
        self,
        cls: type[models.Model],
        name: str,
        private_only: bool = False,  # noqa: FBT001, FBT002 - Django's signature
    ) -> None:
        """Join the model, with an attribute of its own even under an abstract parent.

        The reader is made anew too: a copy of a field must not read as the original does.
        """
        self.read_value = reader_of(self)
        super().contribute_to_class(cls, name, private_only=private_only)
        self.base.set_attributes_from_name(name)
        self.base.model = cls
        setattr(cls, self.attname, self.descriptor_class(self))

    def check(self, **options: Any) -> list[CheckMessage]:
        """Check the wrapped field, and what cannot work encrypted."""
        return [*super().check(**options), *field_checks.run(self, **options)]

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: FBT001
        """Seal the instance's value for its row; one nobody looked at is written back as it was."""
        if type(self.base).pre_save is not models.Field.pre_save:
            self.base.pre_save(model_instance, add)  # auto_now sets the attribute
        return saving.sealed_value(self, model_instance, add=add)

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:  # noqa: ARG002
        """Refuse expressions, unsafe upserts and half of what belongs together (Django 5.2)."""
        if hasattr(value, "as_sql"):
            raise ExpressionRefused(self.no_expression())
        together.check_written(self, compiler)
        return "%s"

    def get_placeholder_sql(
        self, value: Any, compiler: Any, connection: Any
    ) -> tuple[str, tuple[Any]]:
        """Refuse the same (Django 6.1)."""
        return self.get_placeholder(value, compiler, connection), (value,)

    # --- reading ----------------------------------------------------------------------------------

    def get_col(self, alias: str, output_field: Any = None) -> EncryptedCol:
        """Return the column that selects its row too; a new one each, told apart by identity."""
        return EncryptedCol(alias, self, output_field)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:  # noqa: ARG002
        """Open a value that goes to no instance: ``values()``, annotations, subqueries."""
        return self.read_value(value)

    def open_selected(self, value: bytes) -> Any:
        """Open mark, row and envelope with care; a failure is an event, then an exception."""
        try:
            return self._decoded(self.cipher.open_selected(value))
        except DecryptionFailed as failure:
            self._report(failure, split(value)[0] or b"")
            raise

    def open_bare(self, value: Bare, instance: models.Model) -> Any:
        """Open an envelope by the row of the instance that holds it."""
        return self.open_envelope(bytes(value), row_of(instance, self.identity()) or bytes(16))

    def open_envelope(self, envelope: bytes, row: bytes) -> Any:
        """Open an envelope of a known row."""
        try:
            return self._decoded(self.cipher.open(envelope, row))
        except DecryptionFailed as failure:
            self._report(failure, row)
            raise

    def _report(self, failure: DecryptionFailed, row: bytes) -> None:
        report(failure, target=f"{self.model._meta.label_lower}:{row.hex()}")

    def _decoded(self, plaintext: bytes) -> Any:
        """Return the clear value; what a decoder says of one that does not fit may hold it."""
        try:
            return self.codec.decode(self.base, plaintext)
        except Exception:  # noqa: BLE001 - of any field, and any decoder of a JSONField
            del plaintext
        raise DecryptionFailed(
            f"A value of {self.place} is authentic and no {type(self.base).__name__}: it was "
            "written while the field had another type. Give the field that type back, and convert "
            "its values in a migration.",
            reason="not_of_type",
            place=self.place,
        )

    # --- queries ----------------------------------------------------------------------------------

    def get_lookup(self, lookup_name: str) -> Any:
        """Answer ``isnull``; refuse the rest with a sentence."""
        if lookup_name == "isnull":
            return EncryptedIsNull
        if lookup_name == "exact":
            return RefusedExact
        raise QueryRefused(self.no_lookup(lookup_name))

    def get_transform(self, lookup_name: str) -> Any:
        """Refuse."""
        raise QueryRefused(self.no_lookup(lookup_name))

    def no_lookup(self, lookup_name: str) -> str:
        """Report why, and what to do."""
        return (
            f"{self.place} is encrypted; the database cannot answer {lookup_name!r} on it, only "
            f"'isnull'. Add a BlindIndex({self.name!r}) and look that up for equality."
        )

    def only_readable(self) -> str:
        """Report why a column cannot stand in an expression."""
        return (
            f"{self.place} is encrypted, so the database cannot compare, order, combine or "
            "aggregate it. Select it and work in Python; for equality look up a "
            f"BlindIndex({self.name!r}), and count with filter({self.name}__isnull=False). Where "
            "DISTINCT, GROUP BY or a union tells rows apart, select its row's primary key too."
        )

    # --- values outside the database --------------------------------------------------------------

    def to_python(self, value: Any) -> Any:
        """Convert as the wrapped field does; a fixture's ciphertext stays closed."""
        if isinstance(value, str) and value.startswith(TOKEN):
            return self._from_token(value)
        return self.base.to_python(value)

    def _from_token(self, token: str) -> Selected | bytes:
        try:
            return self.closed_type(base64.b64decode(token.removeprefix(TOKEN), validate=True))
        except (binascii.Error, ValueError):
            raise exceptions.ValidationError(
                _("The encrypted value is damaged."), code="invalid"
            ) from None

    def value_to_string(self, obj: models.Model) -> str:
        """Serialise as ciphertext, so that a dump is no leak; ``loaddata`` reads it."""
        return TOKEN + base64.b64encode(saving.selected_value(self, obj)).decode()

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        """Clean as the wrapped field does, and find doubles in a unique blind index."""
        if type(value) is self.closed_type and self.closed_type is not Selected:
            return value
        cleaned = self.base.clean(value, model_instance)
        if model_instance is not None:
            blind_index.refuse_double(self, cleaned, model_instance)
        return cleaned

    @property
    def validators(self) -> list[Any]:
        """Those of the wrapped field, and one for serializers, which clean no model."""
        indexes = blind_index.indexes_of(self) if hasattr(self, "model") else []
        is_unique = any(index.unique for index in indexes)
        own = [blind_index.UniqueInSerializer(self)] if is_unique else []
        return [*self.base.validators, *own]

    def formfield(self, **options: Any) -> Any:
        """Return the wrapped field's form field."""
        return self.base.formfield(**options)

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        """Set the cleaned value."""
        setattr(instance, self.name, data)
