"""Reading encryption keys as they are written in settings, environment and files."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from garrison import keys
from garrison.keys import KEY_BYTES, InvalidKeyError, Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from garrison.keys import KeyList

LONGEST_KEY_ID = 12  # characters; its width in every envelope
PASSPHRASE = "pbkdf2"  # noqa: S105 - the word that marks a passphrase, not one
ITERATIONS = 600_000  # OWASP Password Storage, PBKDF2-HMAC-SHA256
# Fixed, because nothing but the passphrase may be needed to read the data again.
PASSPHRASE_SALT = b"django-garrison/encryption/pbkdf2/v1"
SHORTEST_PASSPHRASE = 20  # characters; five random words


def read(entries: Iterable[object]) -> KeyList[Secret]:
    """Read ``id:base64``, ``pbkdf2:passphrase`` and ``id:pbkdf2:passphrase``; never raises.

    The active key comes first; what cannot be used is a sentence in the result.
    """
    found = keys.read(
        map(_with_id, entries),
        what="Encryption key",
        value=_secret,
        longest_id=LONGEST_KEY_ID,
        id_marks="._-",
    )
    if not found.keys and not found.problems:
        found.problems.append(
            f"There is no encryption key. Set ENCRYPTION_KEYS (ENCRYPTION_KEY in .env). {keys.HINT}"
        )
    return found


def _with_id(entry: object) -> object:
    """Write a passphrase without an id as one whose id is ``pbkdf2``."""
    if not isinstance(entry, str) or not entry.strip().startswith(f"{PASSPHRASE}:"):
        return entry
    passphrase = entry.strip().removeprefix(f"{PASSPHRASE}:").removeprefix(f"{PASSPHRASE}:")
    return f"{PASSPHRASE}:{PASSPHRASE}:{passphrase}"


def _secret(text: str) -> Secret:
    if not text.startswith(f"{PASSPHRASE}:"):
        return keys.random_bytes(text)
    passphrase = text.removeprefix(f"{PASSPHRASE}:")
    if problem := keys.weakness(passphrase, shortest=SHORTEST_PASSPHRASE):
        raise InvalidKeyError(f"is a passphrase that {problem}")
    return _stretched(unicodedata.normalize("NFC", passphrase).encode())


@lru_cache(maxsize=8)
def _stretched(passphrase: bytes) -> Secret:
    """Stretch once per process: about 0.2 s that no request should pay twice."""
    kdf = PBKDF2HMAC(hashes.SHA256(), KEY_BYTES, PASSPHRASE_SALT, ITERATIONS)
    return Secret(kdf.derive(passphrase))
