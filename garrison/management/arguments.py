"""What people write behind a command, read once: the ``type`` of an argument.

An empty text is what a shell makes of an unset variable. It is refused, lest ``--user "$NAME"``
mean everybody.
"""

from __future__ import annotations

import uuid
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 1_000_000_000
LARGEST_DAYS = 36_500  # a hundred years: no date is out of range


def text(written: str) -> str:
    """Read a text that is not empty and holds no control character."""
    if not written.strip():
        raise ArgumentTypeError("a value is needed, and this one is empty.")
    if not written.isprintable():
        raise ArgumentTypeError("the value holds a character that cannot be printed.")
    return written


def number(least: int, most: int = LARGEST) -> Callable[[str], int]:
    """Return what reads a whole number between two others."""

    def read(written: str) -> int:
        # No more digits than the bound has, before int() is asked to read a million of them.
        is_number = len(written) <= len(str(most)) and written.isascii() and written.isdigit()
        if not is_number or not least <= int(written) <= most:
            raise ArgumentTypeError(
                f"{written[:20]!r} is not a whole number from {least:,} to {most:,}."
            )
        return int(written)

    return read


def identifier(written: str) -> uuid.UUID:
    """Read a UUID."""
    try:
        return uuid.UUID(written)
    except ValueError:
        raise ArgumentTypeError(f"{written[:40]!r} is not an id (a UUID).") from None
