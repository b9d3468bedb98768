"""``Encrypted(models.TextField())``: any concrete field, stored as ciphertext."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.core import exceptions
from django.db import models
from django.utils.translation import gettext_lazy as _

from encryption.cipher import split
from encryption.errors import DecryptionFailed, ExpressionRefused, UnboundValue, ValueRefused
from encryption.fields import field_checks
from encryption.fields.attribute import EncryptedAttribute
from encryption.fields.codecs import TextCodec, codec_for
from encryption.fields.columns import EncryptedCol, EncryptedIsNull, RefusedExact
from encryption.fields.rows import identity_field, row_of
from encryption.fields.sealed import Bare, Bound, Selected
from encryption.keyring import keyring, ring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.core.checks import CheckMessage

    from encryption.cipher import FieldCipher

_ST = TypeVar("_ST")
_GT = TypeVar("_GT")

TOKEN = "garrison-encrypted:"  # noqa: S105 - the mark of ciphertext in a fixture


if TYPE_CHECKING:

    class _Field(models.Field[_ST, _GT]):
        """Django's field, which is generic in the stubs alone."""

else:

    class _Field(models.Field, Generic[_ST, _GT]):
        """Django's field, made generic."""


class Encrypted(_Field[_ST, _GT]):
    """Wrap a concrete field, so that its column holds AES-256-GCM envelopes.

    Options (``null``, ``blank``, ``default``, ``choices``, …) are those of the wrapped field, and
    so are its validators, its form field and its Python type. ``label`` fixes the name the value
    is bound to (default ``app.model.field``); set it to the old name when a model or field is
    renamed. ``subject`` names the field of the model that says whose value it is: it is then
    encrypted under that person's own key, which can be erased (:mod:`encryption.shredding`).

    It does not hide whether a value is NULL, nor its length to within the type's encoding.
    """

    empty_strings_allowed = False
    descriptor_class = EncryptedAttribute
    description = _("Encrypted value")

    def __init__(self, base: models.Field[_ST, _GT], *, label: str = "", subject: str = "") -> None:
        """Copy the options of the wrapped field, which stays the one to ask about values."""
        if not isinstance(base, models.Field):
            raise TypeError("Encrypted() wraps a field instance, such as models.TextField().")
        self.base: models.Field[_ST, _GT] = base.clone()
        self.explicit_label = label
        self.subject = subject
        self.codec = codec_for(self.base)
        self.is_text = isinstance(self.codec, TextCodec)
        self._known_cipher: FieldCipher | None = None
        self.closed_type: type[bytes] = Selected if isinstance(base, models.BinaryField) else bytes
        super().__init__(
            verbose_name=base._verbose_name,  # type: ignore[attr-defined]
            name=base.name,
            max_length=base.max_length,
            null=base.null,
            blank=base.blank,
            default=base.default,
            editable=base.editable,
            serialize=base.serialize,  # type: ignore[attr-defined]
            choices=base.choices,
            help_text=base.help_text,
            db_column=base.db_column,
            db_comment=base.db_comment,
            db_tablespace=base._db_tablespace,  # type: ignore[attr-defined]
            auto_created=base.auto_created,
            error_messages=base._error_messages,  # type: ignore[attr-defined]
        )

    # --- the class it stands on -------------------------------------------------------------------

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Serialise for migrations: the wrapped field, and what was said beside it."""
        options = {"label": self.explicit_label, "subject": self.subject}
        said = {name: value for name, value in options.items() if value}
        return self.name, "encryption.fields.Encrypted", [self.base], said

    def contribute_to_class(
        self,
        cls: type[models.Model],
        name: str,
        private_only: bool = False,  # noqa: FBT001, FBT002 - Django's signature
    ) -> None:
        """Stand on the model, with an attribute of its own even under an abstract parent."""
        super().contribute_to_class(cls, name, private_only=private_only)
        self.base.set_attributes_from_name(name)
        self.base.model = cls
        setattr(cls, self.attname, self.descriptor_class(self))

    def check(self, **options: Any) -> list[CheckMessage]:
        """Check the wrapped field, and what cannot work encrypted."""
        return [*super().check(**options), *field_checks.run(self, **options)]

    @property
    def label(self) -> str:
        """The name a value is bound to: ``app.model.field`` in lower case, or the one given."""
        if self.explicit_label:
            return self.explicit_label
        return f"{self.model._meta.label_lower}.{self.name}"

    @property
    def place(self) -> str:
        """The field as sentences call it."""
        return f"{self.model._meta.label}.{self.name}"

    @property
    def cipher(self) -> FieldCipher:
        """The cipher of this field under the present keys."""
        return keyring().cipher(self.label, self.place)

    @property
    def _proxy_class(self) -> type:
        """What Django REST framework maps its serializer fields by."""
        return type(self.base)

    # --- reading ----------------------------------------------------------------------------------

    def get_internal_type(self) -> str:
        """Be stored as bytes."""
        return "BinaryField"

    def db_check(self, connection: Any) -> str | None:
        """Let the database refuse everything that is no envelope, whoever writes it.

        Code of before an EncryptField migration would otherwise write clear text into the column.
        Bytes compare like numbers: below 0x03 means a first byte of 0x01 or 0x02, the envelopes';
        0x80 is django-cryptography's, until ``encryption_import`` has run.
        """
        column = connection.ops.quote_name(self.column)
        literals = {
            "postgresql": [f"'\\x{byte}'::bytea" for byte in ("01", "03", "80", "81")],
            "sqlite": [f"x'{byte}'" for byte in ("01", "03", "80", "81")],
        }
        if connection.vendor not in literals:
            return None
        ours, ours_end, theirs, theirs_end = literals[connection.vendor]
        return (
            f"({column} >= {ours} AND {column} < {ours_end}) "
            f"OR ({column} >= {theirs} AND {column} < {theirs_end})"
        )

    def get_col(self, alias: str, output_field: Any = None) -> EncryptedCol:
        """Give the column that selects its row with it; a new one each, told apart by identity."""
        return EncryptedCol(alias, self, output_field)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:  # noqa: ARG002
        """Open a value that goes to no instance: ``values()``, annotations, subqueries."""
        return None if value is None else self.open_selected(bytes(value))

    def open_selected(self, value: bytes) -> Any:
        """Open mark, row and envelope; a failure is an event before it is an exception."""
        cipher = self._known_cipher
        if cipher is None or cipher.ring is not ring.current:
            cipher = self._known_cipher = self.cipher
        try:
            plaintext = cipher.open_selected(value)
            return plaintext.decode() if self.is_text else self.codec.decode(self.base, plaintext)
        except DecryptionFailed as failure:
            self._report(failure, split(value)[0] or b"")
            raise

    def open_bare(self, value: Bare, instance: models.Model) -> Any:
        """Open an envelope by the row of the instance that holds it."""
        identity = self.identity()
        return self.open_envelope(bytes(value), row_of(instance, identity) or bytes(16))

    def open_envelope(self, envelope: bytes, row: bytes) -> Any:
        """Open an envelope of a known row."""
        try:
            return self.codec.decode(self.base, self.cipher.open(envelope, row))
        except DecryptionFailed as failure:
            self._report(failure, row)
            raise

    def _report(self, failure: DecryptionFailed, row: bytes) -> None:
        from encryption.failures import report

        report(failure, target=f"{self.model._meta.label_lower}:{row.hex()}")

    # --- writing ----------------------------------------------------------------------------------

    def identity(self) -> models.Field[Any, Any]:
        """Give the column that stands for the row."""
        found = identity_field(self.model)
        if found is None:
            raise ExpressionRefused(self.needs_row())
        return found

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: FBT001
        """Seal the instance's value for its row; one nobody looked at is written back as it was."""
        from encryption.fields import saving

        return saving.sealed_value(self, model_instance, add=add)

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
        """Give the bytes, or the name of a type that does not fit, so that no value is raised."""
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

    # --- questions in queries ---------------------------------------------------------------------

    def get_lookup(self, lookup_name: str) -> Any:
        """Answer ``isnull``; refuse the rest with a sentence."""
        if lookup_name == "isnull":
            return EncryptedIsNull
        if lookup_name == "exact":
            return RefusedExact
        raise ExpressionRefused(self.no_lookup(lookup_name))

    def get_transform(self, lookup_name: str) -> Any:
        """Refuse."""
        raise ExpressionRefused(self.no_lookup(lookup_name))

    def no_lookup(self, lookup_name: str) -> str:
        """Say why, and what to do."""
        return (
            f"{self.place} is encrypted; the database cannot answer {lookup_name!r} on it, only "
            f"'isnull'. Add a BlindIndex({self.name!r}) and look that up for equality."
        )

    def no_expression(self) -> str:
        """Say why an expression cannot be stored."""
        return (
            f"{self.place} is encrypted here and not in the database, so it cannot be set from an "
            "expression such as F(). Read the rows, set the attribute, and save them; for "
            "bulk_update() give the model `objects = EncryptedManager()` (encryption.querysets)."
        )

    def only_readable(self) -> str:
        """Say why a column cannot stand in an expression."""
        return (
            f"{self.place} is encrypted, so the database cannot compare, order, combine or "
            "aggregate it. Select it and work in Python; for equality look up a "
            f"BlindIndex({self.name!r}), and count with filter({self.name}__isnull=False)."
        )

    def needs_row(self) -> str:
        """Say what the model lacks."""
        return (
            f"{self.model._meta.label} has no UUID primary key to bind {self.name!r} to. Add "
            "`row_salt = RowSalt()` (encryption.fields) to the model."
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
        from encryption.fields import saving

        return TOKEN + base64.b64encode(saving.selected_value(self, obj)).decode()

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        """Clean as the wrapped field does, and look for doubles in a unique blind index."""
        if type(value) is self.closed_type and self.closed_type is not Selected:
            return value
        cleaned = self.base.clean(value, model_instance)
        from encryption import blind_index

        blind_index.refuse_double(self, cleaned, model_instance)
        return cleaned

    @property
    def validators(self) -> list[Any]:
        """Those of the wrapped field."""
        return self.base.validators

    def formfield(self, **options: Any) -> Any:
        """Give the wrapped field's form field."""
        return self.base.formfield(**options)

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        """Set the cleaned value."""
        setattr(instance, self.name, data)
