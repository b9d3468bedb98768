"""Reading JSON so that every reader sees the same request, or nobody does.

Python's parser is lenient where RFC 8259 warns: it takes duplicate keys, NaN, a byte order mark's
absence for granted, and numbers that no database holds. Each of these is refused here, with a code.
"""

from __future__ import annotations

import json
import math
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


def read_object(body: bytes, *, deepest_nesting: int) -> dict[str, Any]:
    """Read a JSON object; raises a subclass of :class:`~http_hardening.errors.InvalidJSON`."""
    text = _decoded(body)
    value = _parsed(text)
    if not isinstance(value, dict):
        raise NotAnObject(f"The body is {_kind(value)}; an object is needed.")
    # Without an escape there can be no NUL and no lone surrogate, so nothing need be looked at.
    has_escapes = "\\u" in text
    if has_escapes or text.count("{") + text.count("[") > deepest_nesting:
        _look_through(value, deepest_nesting=deepest_nesting, looks_at_text=has_escapes)
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


def _look_through(value: Any, *, deepest_nesting: int, looks_at_text: bool) -> None:
    level, depth = [value], 0
    while level:
        depth += any(isinstance(item, dict | list) for item in level)
        if depth > deepest_nesting:
            raise NestingTooDeep(
                f"The body is nested deeper than {deepest_nesting} objects and lists."
            )
        if looks_at_text:
            for item in level:
                _look_at(item)
        level = [inner for item in level for inner in _inside(item)]


def _inside(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, list) else []


def _look_at(item: Any) -> None:
    for text in item if isinstance(item, dict) else (item,):
        if isinstance(text, str) and ("\x00" in text or not _is_text(text)):
            raise InvalidEncoding("The body holds a NUL character or half of a surrogate pair.")


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: Any) -> str:
    names = {str: "text", bool: "a truth value", list: "a list", type(None): "null"}
    return names.get(type(value), "a number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=_constant,
)
