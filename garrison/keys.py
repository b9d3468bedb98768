"""Keys as they are written, kept and derived: the only parser and the only derivation.

A list of keys is written as ``id:value``, the first one active: it signs or encrypts, and the
others stay as long as something is left that they made. What is wrong with an entry comes back as a
sentence that names it by its number and its id; no sentence, ``repr`` or pickle holds a key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings as django_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")

KEY_BYTES = 32  # AES-256; HMAC-SHA256 (RFC 2104 §3: as long as the hash); an Ed25519 seed
TOKEN_BYTES = 48  # 64 characters
SHORTEST_SECRET = 32  # characters; 128 bits even when the text is hexadecimal
FEWEST_CHARACTERS = 8  # different ones; random text has far more, patterns have fewer
FEWEST_BYTES = 16  # different ones of 32; random bytes have fewer less than once in 10¹³
KNOWN_DEFAULTS = (
    *("insecure", "changeme", "change-me", "secret", "django-insecure", "example"),
    *("password", "passphrase"),
)
HINT = "Run `manage.py generate_keys`."


class Secret:
    """Secret bytes that no ``repr``, pickle or hash shows, compared in constant time."""

    __slots__ = ("_bytes",)

    def __init__(self, secret: bytes) -> None:
        """Take the bytes."""
        self._bytes = secret

    def reveal(self) -> bytes:
        """Return the bytes, to the code that computes with them."""
        return self._bytes

    def __repr__(self) -> str:
        """Show that there is one."""
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled, and so to reach a cache, a queue or a file."""
        raise TypeError("A secret is not pickled.")

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        return isinstance(other, Secret) and hmac.compare_digest(self._bytes, other._bytes)

    __hash__ = None  # type: ignore[assignment]  # a hash would be a trace of the secret


class Mac:
    """HMAC-SHA256 (RFC 2104) under one key, whose padded form is hashed once."""

    __slots__ = ("_begun",)

    def __init__(self, key: bytes) -> None:
        """Take the key; it has no other way out."""
        self._begun = hmac.new(key, digestmod=hashlib.sha256)

    def digest(self, message: bytes) -> bytes:
        """Return the MAC of the message, 32 bytes."""
        mac = self._begun.copy()
        mac.update(message)
        return mac.digest()

    def verifies(self, message: bytes, mac: bytes) -> bool:
        """Return whether that is the MAC of the message, compared in constant time."""
        return hmac.compare_digest(self.digest(message), mac)


def derive(secret: bytes, info: str, *, length: int = KEY_BYTES, salt: bytes = b"") -> bytes:
    """Derive the key for one purpose, which ``info`` names (HKDF-SHA256, RFC 5869)."""
    kdf = HKDF(hashes.SHA256(), length, salt=salt or None, info=info.encode())
    return kdf.derive(secret)


def site_secrets() -> list[bytes]:
    """Return ``SECRET_KEY`` and its fallbacks, for keys that a site has not written itself."""
    texts = (django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS)
    return [str(text).encode() for text in texts]


def random_key() -> str:
    """Make a key: 32 random bytes in base64."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def random_token() -> str:
    """Make a secret text: 64 characters that a URL and a file of the environment can hold."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class InvalidKeyError(ValueError):
    """The value of a key cannot be used; the sentence's end, such as ``is not base64``."""


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    """One key of a list: its id, and what its value was read as."""

    id: str
    value: T


class Keyring(Generic[T]):
    """Keys by id; the active one makes what is new, the others read what is old."""

    def __init__(self, by_id: Mapping[str, T]) -> None:
        """Take the keys, active one first; none at all is a mistake of the caller."""
        self.by_id = dict(by_id)
        self.active = next(iter(self.by_id.values()))

    def __repr__(self) -> str:
        """Name the keys by id."""
        return f"<Keyring {', '.join(self.by_id)}>"


@dataclass(slots=True)
class KeyList(Generic[T]):
    """The keys that could be read, active one first, and a sentence for each that could not."""

    keys: list[Key[T]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read(  # noqa: PLR0913 - a notation has these parts, by keyword
    entries: Iterable[object],
    *,
    what: str,
    value: Callable[[str], T],
    longest_id: int,
    id_marks: str = "_-",
    words: Mapping[str, T] | None = None,
) -> KeyList[T]:
    """Read keys as they are written; never raises.

    ``what`` is how sentences call one (``Encryption key``), ``value`` reads what stands behind the
    id and raises :class:`InvalidKeyError`, ``id_marks`` are what an id may hold beside letters and
    digits, and ``words`` are entries of one word that need no id.
    """
    found: KeyList[T] = KeyList()
    words = words or {}
    for number, entry in enumerate(entries, start=1):
        text = entry.strip() if isinstance(entry, str) else ""
        key_id, separator, written = text.partition(":")
        if text in words:
            found.keys.append(Key(text, words[text]))
        elif not separator:
            found.problems.append(f"{what} number {number} has no id; write it as id:key. {HINT}")
        elif problem := _problem_of_id(key_id, longest_id, id_marks, words):
            found.problems.append(f"{what} number {number} has an id that {problem}.")
        else:
            try:
                found.keys.append(Key(key_id, value(written)))
            except InvalidKeyError as refused:
                found.problems.append(f"{what} {key_id!r} {refused}. {HINT}")
    found.problems += _doubles(found.keys, what)
    return found


def _problem_of_id(key_id: str, longest: int, marks: str, words: Mapping[str, T]) -> str | None:
    if not re.fullmatch(rf"[A-Za-z0-9{re.escape(marks)}]{{1,{longest}}}", key_id, re.ASCII):
        listed = ", ".join(f"'{mark}'" for mark in marks)
        return f"is not 1 to {longest} letters, digits, {listed}"
    return f"means something else: {key_id!r} stands alone" if key_id in words else None


def _doubles(keys: list[Key[T]], what: str) -> Iterable[str]:
    for number, key in enumerate(keys):
        for other in keys[:number]:
            if key.id == other.id:
                yield f"{what} id {key.id!r} is given twice. Rename one."
            elif key.value == other.value:
                yield f"{what}s {other.id!r} and {key.id!r} are the same bytes. {HINT}"


def random_bytes(text: str) -> Secret:
    """Read base64 of 32 random bytes; raises :class:`InvalidKeyError`."""
    secret = decoded(text)
    if secret is None:
        raise InvalidKeyError("is not base64")
    if len(secret) != KEY_BYTES:
        raise InvalidKeyError(f"is {len(secret)} bytes; {KEY_BYTES} are needed")
    if _looks_made_up(secret):
        raise InvalidKeyError("is a default, a pattern or text, not random bytes")
    return Secret(secret)


def random_text(text: str, *, shortest: int = SHORTEST_SECRET) -> Secret:
    """Read a secret text of enough characters; raises :class:`InvalidKeyError`."""
    if problem := weakness(text, shortest=shortest):
        raise InvalidKeyError(problem)
    return Secret(text.encode())


def weakness(text: str, *, shortest: int = SHORTEST_SECRET) -> str | None:
    """Return what is wrong with a secret text, without the text; ``None`` where it will do."""
    if len(text) < shortest:
        return f"is {len(text)} characters; {shortest} are needed"
    if text.lower().startswith(KNOWN_DEFAULTS) or len(set(text)) < FEWEST_CHARACTERS:
        return "looks like a default or a pattern, not like a random secret"
    return None


def decoded(text: str) -> bytes | None:
    """Read base64, strictly; anything else is ``None``."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _looks_made_up(secret: bytes) -> bool:
    """Return whether no random generator made it: text, one byte over and over, a sequence."""
    is_text = all(32 <= byte < 127 for byte in secret)
    is_known = hashlib.sha256(b"").digest() == secret  # the digest of nothing
    steps = {(b - a) % 256 for a, b in pairwise(secret)}
    return is_text or is_known or len(set(secret)) < FEWEST_BYTES or len(steps) <= 2
