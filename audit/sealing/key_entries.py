"""Reading keys as they are written in settings and environment; needs no settings itself.

Nothing here raises with a key in sight: what is wrong comes back as sentences that name the entry
by its place and its id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY_BYTES = 32  # of HMAC-SHA256 (RFC 2104 §3: as long as the hash), and of an Ed25519 seed
KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,23}", re.ASCII)
SITE = "site"  # the key that is made from SECRET_KEY
FINGERPRINT_BYTES = 4
FEWEST_DIFFERENT = 12  # of 32 random bytes; fewer occur once in 10¹⁷
HINT = "Run `manage.py generate_keys`."


class Secret:
    """Thirty-two secret bytes that no repr, pickle or comparison shows."""

    __slots__ = ("_bytes",)

    def __init__(self, secret: bytes) -> None:
        """Take the bytes."""
        self._bytes = secret

    def reveal(self) -> bytes:
        """Return the bytes to the one who computes with them."""
        return self._bytes

    def __repr__(self) -> str:
        """Show that there is one."""
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled, and so to reach a cache, a queue or a file."""
        raise TypeError("A secret is not pickled.")


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as it was written; ``secret`` is ``None`` for ``site``."""

    id: str
    secret: Secret | None


@dataclass(slots=True)
class Entries:
    """The keys that could be read, and a sentence for each that could not."""

    keys: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def labelled(key_id: str, fingerprinted: bytes) -> str:
    """Return the name under which a key is written down: its id and a trace of its bytes.

    So another key under a known id is another name: a wrong key is not mistaken for an edit.
    """
    trace = hmac.digest(fingerprinted, b"garrison.audit.fingerprint.v1", "sha256")
    return f"{key_id}.{trace[:FINGERPRINT_BYTES].hex()}"


def read(entries: Iterable[object], *, what: str) -> Entries:
    """Read ``id:base64`` and ``site``, first one active; ``what`` names the setting."""
    found = Entries()
    for place, entry in enumerate(entries, start=1):
        _read_one(entry, f"{what}, entry {place}:", found)
    ids = [key.id for key in found.keys]
    found.problems += [f"{what}: the id {i!r} is given twice." for i in {*ids} if ids.count(i) > 1]
    secrets = [hashlib.sha256(key.secret.reveal()).digest() for key in found.keys if key.secret]
    if len(set(secrets)) < len(secrets):
        found.problems.append(f"{what}: two ids hold the same bytes. {HINT}")
    return found


def _read_one(entry: object, name: str, found: Entries) -> None:
    if entry == SITE:
        found.keys.append(Entry(SITE, None))
        return
    if not isinstance(entry, str) or ":" not in entry:
        found.problems.append(f"{name} it has no id; write it as id:base64. {HINT}")
        return
    key_id, _, text = entry.strip().partition(":")
    if not KEY_ID.fullmatch(key_id) or key_id == SITE:
        found.problems.append(f"{name} an id is 1 to 23 letters, digits, '_', '-', not 'site'.")
        return
    secret = decoded(text)
    if secret is None or len(secret) != KEY_BYTES:
        size = "no base64" if secret is None else f"{len(secret)} bytes"
        found.problems.append(f"{name} {key_id!r} is {size}; {KEY_BYTES} bytes are needed. {HINT}")
    elif _looks_made_up(secret):
        found.problems.append(f"{name} {key_id!r} is a default or a pattern, not random. {HINT}")
    else:
        found.keys.append(Entry(key_id, Secret(secret)))


def decoded(text: str) -> bytes | None:
    """Read base64, strictly; anything else is ``None``."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _looks_made_up(secret: bytes) -> bool:
    is_text = all(32 <= byte < 127 for byte in secret)
    steps = {(b - a) % 256 for a, b in pairwise(secret)}
    return is_text or len(set(secret)) < FEWEST_DIFFERENT or len(steps) <= 2
