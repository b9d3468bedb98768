"""Reading keys as they are written in settings, environment and files.

Nothing here raises with a key in sight: what is wrong comes back as sentences that name the entry
by its place and its id, and the caller raises them from a frame that never held a secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import threading
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from encryption.keyring.material import KEY_BYTES, Key, KeyMaterial

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_KEY_ID = 12  # characters; the place it has in every envelope
KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,12}", re.ASCII)
PASSPHRASE = "pbkdf2"  # noqa: S105 - the word that marks a passphrase, not one
ITERATIONS = 600_000  # OWASP Password Storage, PBKDF2-HMAC-SHA256
# Fixed, because nothing but the passphrase may be needed to read the data again.
PASSPHRASE_SALT = b"django-garrison/encryption/pbkdf2/v1"
SHORTEST_PASSPHRASE = 20  # characters; five random words
DEFAULTS = ("changeme", "change-me", "secret", "passphrase", "password", "example", "insecure")
HINT = "Run `manage.py generate_keys`."


@dataclass(slots=True)
class Entries:
    """The keys that could be read, and a sentence for each that could not."""

    keys: list[Key] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read(entries: Iterable[str]) -> Entries:
    """Read ``id:base64``, ``pbkdf2:passphrase`` and ``id:pbkdf2:passphrase``, active first."""
    found = Entries()
    for place, entry in enumerate(entries, start=1):
        _read_one(entry, f"Encryption key number {place}", found)
    if not found.keys and not found.problems:
        found.problems.append(
            f"There is no encryption key. Set ENCRYPTION_KEYS (ENCRYPTION_KEY in .env). {HINT}"
        )
    _find_doubles(found)
    return found


def _read_one(entry: object, name: str, found: Entries) -> None:
    if not isinstance(entry, str) or ":" not in entry:
        found.problems.append(f"{name} has no id; write it as id:base64. {HINT}")
        return
    key_id, _, secret = entry.strip().partition(":")
    if not KEY_ID.fullmatch(key_id):
        found.problems.append(
            f"{name} has an id that is not 1 to {LONGEST_KEY_ID} letters, digits, '.', '_', '-'."
        )
        return
    name = f"Encryption key {key_id!r}"
    is_passphrase = key_id == PASSPHRASE or secret.startswith(f"{PASSPHRASE}:")
    reader = _from_passphrase if is_passphrase else _from_base64
    material = reader(secret.removeprefix(f"{PASSPHRASE}:"), name, found)
    if material is not None:
        found.keys.append(Key(key_id, material))


def _from_base64(text: str, name: str, found: Entries) -> KeyMaterial | None:
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found.problems.append(f"{name} is not base64. {HINT}")
        return None
    if len(secret) != KEY_BYTES:
        found.problems.append(f"{name} is {len(secret)} bytes; {KEY_BYTES} are needed. {HINT}")
        return None
    material = KeyMaterial(secret)
    if material.looks_made_up():
        found.problems.append(f"{name} is a default, a pattern or text, not random bytes. {HINT}")
        return None
    return material


def _from_passphrase(passphrase: str, name: str, found: Entries) -> KeyMaterial | None:
    if len(passphrase) < SHORTEST_PASSPHRASE:
        found.problems.append(
            f"{name} is a passphrase of {len(passphrase)} characters; "
            f"{SHORTEST_PASSPHRASE} are needed. {HINT}"
        )
        return None
    if passphrase.lower().startswith(DEFAULTS) or len(set(passphrase)) < 8:
        found.problems.append(f"{name} is a default or a pattern, not a passphrase. {HINT}")
        return None
    return _stretched(unicodedata.normalize("NFC", passphrase).encode())


_stretched_once: dict[bytes, KeyMaterial] = {}
_stretching = threading.Lock()


def _stretched(passphrase: bytes) -> KeyMaterial:
    """Stretch once per process: about 0.2 s that no request should pay twice."""
    name = hashlib.sha256(PASSPHRASE_SALT + passphrase).digest()
    with _stretching:
        if name not in _stretched_once:
            kdf = PBKDF2HMAC(hashes.SHA256(), KEY_BYTES, PASSPHRASE_SALT, ITERATIONS)
            _stretched_once[name] = KeyMaterial(kdf.derive(passphrase))
        return _stretched_once[name]


def _find_doubles(found: Entries) -> None:
    seen: list[Key] = []
    for key in found.keys:
        for other in seen:
            if key.id == other.id:
                found.problems.append(f"Encryption key id {key.id!r} is given twice. Rename one.")
            elif key.material == other.material:
                found.problems.append(
                    f"Encryption keys {other.id!r} and {key.id!r} are the same bytes. {HINT}"
                )
        seen.append(key)
