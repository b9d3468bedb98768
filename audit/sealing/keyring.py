"""The keys that seal events, by the name under which seals carry them.

The first of ``AUDIT_KEYS`` seals; the others verify what they have sealed, and stay as long as such
rows do. Where there is none, the key is made from ``SECRET_KEY``: that keeps out whoever owns the
database alone, and nobody who reads the settings.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from audit.conf import settings
from audit.errors import AuditKeysUnusable
from garrison import keys
from garrison.conf import remembered
from garrison.keys import Keyring, Mac, Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from garrison.keys import KeyList

SITE = "site"  # the key that is made from SECRET_KEY
LONGEST_ID = 23
FINGERPRINT_BYTES = 4


class SealKey:
    """One key, under the name that seals carry."""

    __slots__ = ("id", "mac")

    def __init__(self, key_id: str, secret: Secret) -> None:
        """Take the id as written and the bytes; the name gets the fingerprint."""
        self.id = labelled(key_id, secret.reveal())
        self.mac = Mac(secret.reveal()).digest


def labelled(key_id: str, fingerprinted: bytes) -> str:
    """Return the name under which a key is written down: its id and a trace of its bytes.

    So another key under a known id is another name: a wrong key is not mistaken for an edit.
    """
    return f"{key_id}.{fingerprint(fingerprinted)}"


def fingerprint(key: bytes) -> str:
    """Return a trace of a key, in hexadecimal; it tells keys apart, and nothing of one."""
    trace = hmac.digest(key, b"garrison.audit.fingerprint.v1", "sha256")
    return trace[:FINGERPRINT_BYTES].hex()


def read(entries: Iterable[object], *, what: str) -> KeyList[Secret | None]:
    """Read ``id:base64`` and ``site``, which has no value; ``what`` names the setting."""
    return keys.read(
        entries,
        what=f"{what}: key",
        value=keys.random_bytes,
        longest_id=LONGEST_ID,
        words={SITE: None},
    )


def secrets(written: Sequence[str], *, what: str, purpose: str) -> Iterator[tuple[str, Secret]]:
    """Return each key with its id, active one first; ``site`` is one of each ``SECRET_KEY``.

    Raises :class:`~audit.errors.AuditKeysUnusable` where one of them cannot be used.
    """
    found = read(written or [SITE], what=what)
    if found.problems:
        raise AuditKeysUnusable(" ".join(found.problems))
    for key in found.keys:
        for secret in [key.value] if key.value else made_from_site(purpose):
            yield key.id, secret


def made_from_site(purpose: str) -> list[Secret]:
    """Derive a key of ``SECRET_KEY`` and of each of its fallbacks, for one purpose."""
    info = f"garrison.audit.{purpose}.v1"
    return [Secret(keys.derive(secret, info)) for secret in keys.site_secrets()]


@remembered("AUDIT_", "SECRET_KEY")
def keyring() -> Keyring[SealKey]:
    """Return the keys of this process; raises :class:`~audit.errors.AuditKeysUnusable`."""
    found = secrets(settings.keys, what="AUDIT_KEYS", purpose="seal")
    ring = [SealKey(key_id, secret) for key_id, secret in found]
    return Keyring({key.id: key for key in ring})
