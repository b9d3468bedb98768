"""The way from what a SELECT returned to a clear value: one function, and the attribute."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from django.db.models.query_utils import DeferredAttribute

from encryption.ciphertext import Bare
from encryption.fields.codecs import TEXT
from encryption.keyring import keyring

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db import models

    from encryption.fields.encrypted import Encrypted
    from encryption.keyring import EncryptionKeyring

# What a SELECT returns on PostgreSQL: mark · row · version and key id · nonce · sealed. Cut by
# slices that are made once; this runs for every value anybody reads.
ROW, HEADER, NONCE, SEALED = slice(1, 17), slice(17, 30), slice(30, 42), slice(42, None)


class ValueReader(Protocol):
    """Opens one field's values; has the signature of a database converter."""

    def __call__(self, value: Any, expression: Any = None, connection: Any = None) -> Any:
        """Return the clear value, or raise DecryptionFailed."""


def reader_of(field: Encrypted[Any, Any]) -> ValueReader:
    """Make the function that opens the values of a field.

    It serves the active key of the present ring, and follows a change of rings. All else (an older
    key, a subject's, damage) goes the careful way, which finds out what it is and reports it.
    """
    own: EncryptionKeyring | None = None
    first, context = b"", b""
    decrypt: Callable[[bytes, bytes, bytes], bytes]
    decode: Callable[[bytes], Any]
    # nearer than globals
    row, header, nonce, sealed, current = ROW, HEADER, NONCE, SEALED, keyring

    def read_value(value: Any, expression: Any = None, connection: Any = None) -> Any:  # noqa: ARG001
        if value is None:
            return None
        if current() is not own:
            renew()
        elif value[header] == first:
            try:
                return decode(decrypt(value[nonce], value[sealed], context + value[row]))
            except Exception:  # noqa: BLE001, S110 - the careful way finds it again, and reports it
                pass
        return field.open_selected(bytes(value))

    def renew() -> None:
        nonlocal own, first, context, decrypt, decode
        cipher = field.cipher
        first, (decrypt, context) = cipher.active_header, cipher.active_decryptor
        is_text = field.codec is TEXT
        decode = bytes.decode if is_text else partial(field.codec.decode, field.base)
        own = cipher.ring

    return read_value


class EncryptedAttribute(DeferredAttribute):
    """Opens a value the first time it is read, and keeps it in clear in that instance.

    One value that cannot be read spoils only itself: the row and its other columns load.
    """

    field: Any  # the stubs know of no encrypted field

    def __init__(self, field: Any) -> None:
        """Keep what every access needs at hand."""
        super().__init__(field)
        self.name = field.attname
        self.closed_type = field.closed_type
        self.read_value = field.read_value

    def __get__(self, instance: models.Model | None, cls: Any = None) -> Any:
        """Return the clear value."""
        if instance is None:
            return self
        values = instance.__dict__
        try:
            value = values[self.name]
        except KeyError:
            return super().__get__(instance, cls)
        kind = type(value)
        if kind is self.closed_type:
            value = values[self.name] = self.read_value(value)
        elif kind is Bare:
            value = values[self.name] = self.field.open_bare(value, instance)
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        """Take a clear value, or ciphertext from the database."""
        instance.__dict__[self.name] = value
