"""The one function between what a SELECT returned and a clear value."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from encryption.fields.codecs import TEXT
from encryption.keyring import keyring

if TYPE_CHECKING:
    from collections.abc import Callable

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
        if current() is own and value[header] == first:
            try:
                return decode(decrypt(value[nonce], value[sealed], context + value[row]))
            except Exception:  # noqa: BLE001, S110 - the careful way finds it again, and reports it
                pass
        if current() is not own:
            renew()
        return field.open_selected(bytes(value))

    def renew() -> None:
        nonlocal own, first, context, decrypt, decode
        cipher = field.cipher
        first, (decrypt, context) = cipher.active_header, cipher.active_decryptor
        is_text = field.codec is TEXT
        decode = bytes.decode if is_text else partial(field.codec.decode, field.base)
        own = cipher.ring

    return read_value
