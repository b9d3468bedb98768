"""What an encrypted field is: another field's options over a column of envelopes, under a label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from encryption.errors import ExpressionRefused
from encryption.fields.attribute import EncryptedAttribute
from encryption.fields.codecs import TextCodec, codec_for
from encryption.fields.rows import identity_field
from encryption.fields.sealed import Selected
from encryption.keyring import keyring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from encryption.cipher import FieldCipher

_ST = TypeVar("_ST")
_GT = TypeVar("_GT")


if TYPE_CHECKING:

    class _Field(models.Field[_ST, _GT]):
        """Django's field, which is generic in the stubs alone."""

else:

    class _Field(models.Field, Generic[_ST, _GT]):
        """Django's field, made generic."""


class Wrapping(_Field[_ST, _GT]):
    """A column of envelopes that takes its options from the field it wraps."""

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

    def identity(self) -> models.Field[Any, Any]:
        """Return the column that stands for the row."""
        found = identity_field(self.model)
        if found is None:
            raise ExpressionRefused(self.needs_row())
        return found

    def needs_row(self) -> str:
        """Report what the model lacks."""
        return (
            f"{self.model._meta.label} has no UUID primary key to bind {self.name!r} to. Add "
            "`row_salt = RowSalt()` (encryption.fields) to the model."
        )

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
