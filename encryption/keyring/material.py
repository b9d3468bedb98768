"""Key bytes that do not show themselves."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

KEY_BYTES = 32  # AES-256


class KeyMaterial:
    """Thirty-two secret bytes; every way of printing, comparing or pickling them is covered."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        """Take the bytes; anything but 32 of them is a programming error."""
        if len(secret) != KEY_BYTES:
            size = len(secret)
            del secret  # a report of this very frame must not hold it
            raise ValueError(f"Key material is {size} bytes; {KEY_BYTES} are needed.")
        self._secret = secret

    def derive(self, purpose: str, length: int = KEY_BYTES, *, salt: bytes = b"") -> bytes:
        """Derive a key for one purpose (HKDF-SHA256, RFC 5869); the caller hands it to a cipher."""
        kdf = HKDF(
            algorithm=hashes.SHA256(),
            length=length,
            salt=salt or None,
            info=f"django-garrison/encryption/v1/{purpose}".encode(),
        )
        return kdf.derive(self._secret)

    def fingerprint(self) -> str:
        """Name the key without telling it: 16 hex digits of a value derived for this alone."""
        return self.derive("fingerprint", 8).hex()

    def is_alike(self, other: KeyMaterial) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self._secret, other._secret)

    def hand_to(self, wrap: Callable[[bytes], T]) -> T:
        """Hand the bytes to a function that wraps them, the one way they leave this object."""
        return wrap(self._secret)

    def looks_made_up(self) -> bool:
        """Return whether no random generator made it: text, one byte over and over, a sequence.

        Thirty-two random bytes are all printable once in 10¹³, and have fewer than 16 different
        values less often still.
        """
        secret = self._secret
        steps = {(b - a) % 256 for a, b in pairwise(secret)}
        is_text = all(32 <= byte < 127 for byte in secret)
        is_known = hashlib.sha256(b"").digest() == secret  # the digest of nothing
        return is_text or is_known or len(set(secret)) < 16 or len(steps) <= 2

    def __repr__(self) -> str:
        """Show that there is one."""
        return "<key material>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled, and so to reach a cache, a queue or a file."""
        raise TypeError("Key material is not pickled.")

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        return isinstance(other, KeyMaterial) and self.is_alike(other)

    __hash__ = None  # type: ignore[assignment]  # a hash would be a trace of the secret


@dataclass(frozen=True, slots=True)
class Key:
    """One version of the master key: its id as envelopes carry it, and its material."""

    id: str
    material: KeyMaterial
