"""Reading: from what a SELECT gave to a clear value, and what is said where that fails."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from encryption.cipher import split
from encryption.errors import DecryptionFailed
from encryption.fields.columns import EncryptedCol
from encryption.fields.rows import row_of
from encryption.fields.wrapping import Wrapping
from encryption.keyring import ring

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db import models

    from encryption.fields.sealed import Bare
    from encryption.keyring import Keyring

_ST = TypeVar("_ST")
_GT = TypeVar("_GT")


class Opener(Protocol):
    """Opens one field's values; has the signature of a database converter."""

    def __call__(self, value: Any, expression: Any = None, connection: Any = None) -> Any:
        """Return the clear value, or raise DecryptionFailed."""


class Opening(Wrapping[_ST, _GT]):
    """The half of an encrypted field that reads.

    ``opener`` is the path every read takes: one function of this field, from mark, row and envelope
    to the clear value.
    """

    opener: Opener

    def contribute_to_class(
        self,
        cls: type[models.Model],
        name: str,
        private_only: bool = False,  # noqa: FBT001, FBT002 - Django's signature
    ) -> None:
        """Make the opener anew: a copy of a field must not read as the original does."""
        self.opener = opener_of(self)
        super().contribute_to_class(cls, name, private_only=private_only)

    def get_col(self, alias: str, output_field: Any = None) -> EncryptedCol:
        """Get the column that selects its row with it; a new one each, told apart by identity."""
        return EncryptedCol(alias, self, output_field)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:  # noqa: ARG002
        """Open a value that goes to no instance: ``values()``, annotations, subqueries."""
        return self.opener(value)

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

    def _report(self, failure: DecryptionFailed, row: bytes) -> None:
        from encryption.failures import report

        report(failure, target=f"{self.model._meta.label_lower}:{row.hex()}")


# What a SELECT gives on PostgreSQL: mark · row · version and key id · nonce · sealed. Cut by slices
# that are made once; this runs for every value anybody reads.
ROW, HEADER, NONCE, SEALED = slice(1, 17), slice(17, 30), slice(30, 42), slice(42, None)


def opener_of(field: Opening[Any, Any]) -> Opener:
    """Make the one function between a selected value and a clear one.

    It serves the active key of the present ring, and follows a change of rings. All else (an older
    key, a subject's, damage) goes the careful way, which finds out what it is and says so.
    """
    own: Keyring | None = None
    first, context = b"", b""
    decrypt: Callable[[bytes, bytes, bytes], bytes]
    decode: Callable[[bytes], Any]
    row, header, nonce, sealed = ROW, HEADER, NONCE, SEALED  # nearer than globals

    def open_value(value: Any, expression: Any = None, connection: Any = None) -> Any:  # noqa: ARG001
        if value is None:
            return None
        if ring.current is own and value[header] == first:
            try:
                return decode(decrypt(value[nonce], value[sealed], context + value[row]))
            except Exception:  # noqa: BLE001, S110 - the careful way finds it again, and says it
                pass
        if own is None or ring.current is not own:
            renew()
        return field.open_selected(bytes(value))

    def renew() -> None:
        nonlocal own, first, context, decrypt, decode
        cipher = field.cipher
        first, (decrypt, context) = cipher.active_header, cipher.active_opener
        decode = bytes.decode if field.is_text else partial(field.codec.decode, field.base)
        own = cipher.ring

    return open_value
