"""The keys that seal events, by the name under which seals carry them.

The first of ``AUDIT_KEYS`` seals; the others verify what they have sealed, and stay as long as such
rows do. Where there is none, the key is made from ``SECRET_KEY``: that keeps out whoever owns the
database alone, and nobody who reads the settings.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings as django_settings
from django.core.signals import setting_changed

from audit.conf import settings
from audit.errors import AuditKeysUnusable
from audit.sealing.key_entries import KEY_BYTES, SITE, labelled, read

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK_BYTES = 64  # of SHA-256


class SealKey:
    """One key; computes MACs and shows nothing."""

    __slots__ = ("_inner", "_outer", "id")

    def __init__(self, key_id: str, secret: bytes) -> None:
        """Take the id as written and the bytes; the name gets the fingerprint."""
        self.id = labelled(key_id, secret)
        padded = secret.ljust(BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def mac(self, message: bytes) -> bytes:
        """Compute HMAC-SHA256 of the message.

        By hand, because the padded key is hashed once and not for every event (RFC 2104 §4), which
        the standard library does in twice the time.
        """
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()

    def __repr__(self) -> str:
        """Name the key."""
        return f"<SealKey {self.id}>"


class Keyring:
    """Every key by name; the first one seals."""

    def __init__(self, keys: Sequence[SealKey]) -> None:
        """Take the keys, active one first."""
        self.active = keys[0]
        self.keys = {key.id: key for key in keys}


_current: Keyring | None = None


def keyring() -> Keyring:
    """Return the keys of this process; raises :class:`~audit.errors.AuditKeysUnusable`."""
    global _current  # noqa: PLW0603 - one ring per process is the point
    if _current is None:
        _current = Keyring(_configured())
    return _current


def _configured() -> list[SealKey]:
    entries = read(settings.keys or [SITE], what="AUDIT_KEYS")
    if entries.problems:
        raise AuditKeysUnusable(" ".join(entries.problems))
    keys: list[SealKey] = []
    for entry in entries.keys:
        secrets = [entry.secret.reveal()] if entry.secret else made_from_site("seal")
        keys += [SealKey(entry.id, secret) for secret in secrets]
    return keys


def made_from_site(purpose: str) -> list[bytes]:
    """Make a key for one purpose from ``SECRET_KEY``, and from each of its fallbacks."""
    secrets = (django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS)
    return [_derived(str(secret), purpose) for secret in secrets]


def _derived(secret: str, purpose: str) -> bytes:
    info = f"garrison.audit.{purpose}.v1".encode()
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=info).derive(secret.encode())


def _forget(*, setting: str, **_: Any) -> None:
    global _current  # noqa: PLW0603
    if setting.startswith(("AUDIT_", "SECRET_KEY")):
        _current = None


setting_changed.connect(_forget, dispatch_uid="audit.keyring.forget")
