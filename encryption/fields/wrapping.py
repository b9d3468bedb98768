"""What an encrypted field is: another field's options over envelopes, and how it writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.core import exceptions
from django.db import models
from django.utils.translation import gettext_lazy as _

from encryption.ciphertext import Bare, Bound, Selected
from encryption.errors import ExpressionRefused, UnboundValue, ValueRefused
from encryption.fields.codecs import codec_for
from encryption.fields.kinds import PlainField, class_for, unwrappable
from encryption.fields.reading import EncryptedAttribute
from encryption.fields.rows import as_row, identity_field
from encryption.keyring import keyring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from encryption.cipher import FieldCipher

_ST = TypeVar("_ST")
_GT = TypeVar("_GT")


class Wrapping(PlainField[_ST, _GT]):
    """A column of envelopes that takes its options from the field it wraps, and seals for it."""

    empty_strings_allowed = False
    descriptor_class = EncryptedAttribute
    description = _("Encrypted value")
    auto_now = auto_now_add = False  # the wrapped field's own pre_save does that

    def __new__(cls, base: models.Field[_ST, _GT], **_options: Any) -> Self:
        """Choose the class by what is wrapped."""
        if not isinstance(base, models.Field) or isinstance(base, Wrapping):
            raise TypeError("Encrypted() wraps a field instance, such as models.TextField().")
        own: Any = cls
        wrapped: Any = type(base)
        made: Self = super().__new__(own if unwrappable(base) else class_for(own, wrapped))
        return made

    def __init__(self, base: models.Field[_ST, _GT], *, label: str = "", subject: str = "") -> None:
        """Copy the options of the wrapped field, which stays the one that knows about values."""
        self.base: models.Field[_ST, _GT] = base.clone()
        self.explicit_label = label
        self.subject = subject
        self.codec = codec_for(self.base)
        self.closed_type: type[bytes] = Selected if isinstance(base, models.BinaryField) else bytes
        _name, _path, _args, written = base.deconstruct()
        super().__init__(
            verbose_name=written.get("verbose_name"),
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
            db_tablespace=written.get("db_tablespace"),
            auto_created=base.auto_created,
            error_messages=written.get("error_messages"),
        )
        for name, value in vars(self.base).items():
            if name not in vars(self) and not hasattr(type(self), name):
                setattr(self, name, value)  # max_digits, protocol and the like

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Serialise for migrations: the wrapped field, and what was written beside it."""
        options = {"label": self.explicit_label, "subject": self.subject}
        written = {name: value for name, value in options.items() if value}
        return self.name, "encryption.fields.Encrypted", [self.base], written

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

    def identity(self) -> models.Field[Any, Any]:
        """Return the column that stands for the row."""
        found = identity_field(self.model)
        if found is None:
            raise ExpressionRefused(self.needs_row())
        return found

    def row_of(self, identity: Any) -> bytes:
        """Return the sixteen bytes of a row by its identity; a row without one yet is refused."""
        row = as_row(identity)
        if row is None:
            raise UnboundValue(
                f"{self.place} cannot be written: the row has no {self.identity().name!r} yet. "
                "Fill it first (the EncryptField operation does)."
            )
        return row

    def needs_row(self) -> str:
        """Report what the model lacks."""
        return (
            f"{self.model._meta.label} has no UUID primary key to bind {self.name!r} to. Add "
            "`row_salt = RowSalt()` (encryption.fields) to the model."
        )

    def get_default(self) -> Any:
        """Start as the wrapped field does: an empty text, where it says nothing else."""
        return self.base.get_default()

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

    # --- writing: values sealed for their row, and a refusal of everything that has none ----------

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
        if self.subject and not subject:
            raise UnboundValue(f"{self.place} is for one person; give it that subject by saving.")
        if not subject:
            return Bound(self.cipher.seal(plaintext, row))
        from encryption.shredding import key_for  # its table; models may not be loaded yet above

        key, key_uuid = key_for(keyring(), subject)
        return Bound(self.cipher.seal_for_subject(plaintext, row, key=key, key_uuid=key_uuid))

    def refuse_too_long(self, instance: models.Model) -> None:
        """Refuse a new text that the wrapped field's own column would not hold (on PostgreSQL)."""
        if not isinstance(self.base, models.CharField) or self.max_length is None:
            return
        if type(instance.__dict__.get(self.attname)) in (self.closed_type, Bare):
            return  # stored already
        length = len(str(getattr(instance, self.attname)))
        if length > self.max_length:
            raise ValueRefused(
                f"{self.place} holds at most {self.max_length} characters; {length} were given."
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
            return value  # an expression is refused by get_placeholder
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

    def no_expression(self) -> str:
        """Report why an expression cannot be stored."""
        return (
            f"{self.place} is encrypted here and not in the database, so it cannot be set from an "
            "expression such as F(). Read the rows, set the attribute, and save them; for "
            "bulk_update() give the model `objects = EncryptedManager()` (encryption.querysets)."
        )
