"""What makes a value fit to be stored and read: printable, bounded, of JSON types, without secrets.

Everything a client can influence ends up in an event sooner or later. Written as it came, it could
forge a line of a log, break a terminal, hide text behind text (CVE-2021-42574), be refused by
PostgreSQL (NUL, lone surrogates) or fill a disk. So it is made harmless once, on the way in
(OWASP ASVS 5.0 V16.4.1, V16.2.5).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
T = TypeVar("T")

MASK = "********"
LONGEST_TEXT = 1_000  # characters of one value
LONGEST_KEY = 64
MOST_ITEMS = 50  # of one list or object
DEEPEST = 5  # levels of nesting
LONGEST_DATA = 8_192  # bytes of the whole, as JSON
LARGEST_INTEGER = 2**53 - 1  # beyond it JSON readers differ (RFC 8259 §6)

# Controls (C0, DEL, C1), line and paragraph separators, bidirectional controls, lone surrogates,
# and the byte order mark: all that a reader does not see and a terminal or a parser acts upon.
_UNPRINTABLE = re.compile(
    "[\x01-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_SECRET_WORDS = frozenset(
    {"password", "passwd", "passphrase", "passcode", "pwd", "secret", "secrets", "token", "tokens"}
    | {"jwt", "bearer", "authorization", "cookie", "cookies", "credential", "credentials"}
    | {"otp", "totp", "pin", "csrf", "apikey"}
)
_KINDS_OF_KEY = frozenset({"api", "private", "signing", "encryption", "access", "session", "hmac"})
_KINDS_OF_CODE = frozenset(
    {"backup", "recovery", "verification", "reset", "login", "mfa", "email", "sms"}
)
_SECRET_AFTER = {"key": _KINDS_OF_KEY, "code": _KINDS_OF_CODE, "codes": _KINDS_OF_CODE}
_SECRET_ALONE = frozenset({"code", "codes", "auth"})
_ABOUT_A_SECRET = frozenset(
    {"id", "ids", "kind", "type", "count", "age", "at", "seconds", "days", "expires", "version"}
    | {"name", "length", "strength", "policy"}
)
canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
"""Write JSON in its one form: keys sorted, no blanks, ASCII; equal values give equal text."""

_JWT = re.compile(r"eyJ[\w-]{10,}\.[\w-]+(?:\.[\w-]*)?", re.ASCII)


def printable(text: object, *, longest: int = LONGEST_TEXT) -> str:
    """Return the text with NUL removed, unseen characters escaped, and at most ``longest`` long.

    A line feed becomes a backslash and an n: what was there can be read, and does nothing.
    """
    whole = str(text)[: longest + 1].replace("\x00", "")
    shown = _UNPRINTABLE.sub(_escape, whole)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def cleaned(data: Mapping[Any, object]) -> dict[str, Json]:
    """Return the data of an event, fit to be stored: JSON types, bounded, without secrets.

    Values of other types become text, bytes their number, keys text; a key that names a secret
    keeps its name and loses its value. What is longer than 8 KiB in all keeps its keys only.
    """
    result = _object(data, depth=0)
    if len(canonical(result).encode()) <= LONGEST_DATA:
        return result
    return {"truncated": True, "keys": list(result)}


def _object(data: Mapping[Any, object], *, depth: int) -> dict[str, Json]:
    pairs = ((printable(key, longest=LONGEST_KEY), value) for key, value in _first(data.items()))
    return {
        key: MASK if names_a_secret(key) and value else _value(value, depth=depth + 1)
        for key, value in sorted(pairs, key=lambda pair: pair[0])
    }


def _value(value: object, *, depth: int) -> Json:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) <= LARGEST_INTEGER else printable(hex(value))
    if isinstance(value, float):
        return float(value) if _is_finite(value) else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{memoryview(value).nbytes} bytes"
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _container(value, depth=depth)
    return _JWT.sub(MASK, printable(value))


def _container(value: Mapping[Any, object] | Iterable[object], *, depth: int) -> Json:
    if depth >= DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return _object(value, depth=depth)
    items = [_value(item, depth=depth + 1) for item in _first(value)]
    return sorted(items, key=repr) if isinstance(value, set | frozenset) else items


def _first(items: Iterable[T]) -> list[T]:
    return [item for _, item in zip(range(MOST_ITEMS), items, strict=False)]


def _is_finite(number: float) -> bool:
    return number - number == 0  # false for NaN and the infinities, which JSON does not have


def names_a_secret(key: str) -> bool:
    """Return whether a value is a secret by its name: ``password``, ``refreshToken``, ``api_key``.

    What only speaks of one (``token_id``, ``password_age``) is none, and neither is a code that
    explains (``error_code``, ``country_code``).
    """
    words = [word.lower() for word in _WORDS.findall(key)]
    if not words or words[-1] in _ABOUT_A_SECRET:
        return False
    if not _SECRET_WORDS.isdisjoint(words) or (words[0] in _SECRET_ALONE and len(words) == 1):
        return True
    return not _SECRET_AFTER.get(words[-1], frozenset()).isdisjoint(words[:-1])
