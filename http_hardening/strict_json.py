"""Reading JSON so that every reader sees the same request, or nobody does.

Python's parser is lenient where RFC 8259 warns: it takes duplicate keys, NaN, a byte order mark's
absence for granted, and numbers that no database holds. Each of these is refused here, with a code.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from http_hardening.errors import (
    DuplicateKey,
    InvalidEncoding,
    InvalidJSON,
    NestingTooDeep,
    NotAnObject,
    NumberOutOfRange,
)

LARGEST_INTEGER = 2**63 - 1  # what a PostgreSQL bigint holds
LONGEST_INTEGER = 20  # characters, the sign included
BYTE_ORDER_MARK = "\ufeff"
NO_TEXT = re.compile("[\x00\ud800-\udfff]")


def read_object(body: bytes, *, deepest_nesting: int) -> dict[str, Any]:
    """Read a JSON object; raises a subclass of :class:`~http_hardening.errors.InvalidJSON`."""
    text = _decoded(body)
    value = _parsed(text)
    if not isinstance(value, dict):
        raise NotAnObject("The body is JSON, but not an object.")
    # Without an escape there can be no NUL and no lone surrogate, so nothing need be looked at.
    if "\\u" in text or text.count("{") + text.count("[") > deepest_nesting:
        _look_through(value, deepest_nesting=deepest_nesting)
    return value


def _decoded(body: bytes) -> str:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise InvalidEncoding(f"Byte {wrong.start} is not valid UTF-8.") from None
    if text.startswith(BYTE_ORDER_MARK):
        raise InvalidEncoding("The body begins with a byte order mark; RFC 8259 forbids it.")
    return text


def _parsed(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as wrong:
        # The position, and nothing of the text: it may hold a password.
        raise InvalidJSON(f"{wrong.msg} at line {wrong.lineno}, column {wrong.colno}.") from None
    except RecursionError:
        raise NestingTooDeep("The body is nested too deeply.") from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise DuplicateKey("An object of the body names a key twice.")
    return value


def _integer(digits: str) -> int:
    # Compared by length first: Python takes quadratic time to read a number of a million digits.
    if len(digits) > LONGEST_INTEGER or abs(number := int(digits)) > LARGEST_INTEGER:
        raise NumberOutOfRange("A number of the body does not fit 64 bits.")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NumberOutOfRange("A number of the body is too large.")
    return number


def _constant(name: str) -> NoReturn:
    raise InvalidJSON(f"{name} is not JSON.")


def _look_through(value: Any, *, deepest_nesting: int) -> None:
    depth, level = 1, [value]
    while level:
        if depth > deepest_nesting:
            raise NestingTooDeep(
                f"The body is nested deeper than {deepest_nesting} objects and lists."
            )
        items = [item for container in level for item in _inside(container)]
        if any(NO_TEXT.search(item) for item in items if isinstance(item, str)):
            raise InvalidEncoding("The body holds a NUL character or half of a surrogate pair.")
        depth, level = depth + 1, [item for item in items if isinstance(item, dict | list)]


def _inside(container: Any) -> list[Any]:
    return [*container, *container.values()] if isinstance(container, dict) else container


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=_constant,
)
