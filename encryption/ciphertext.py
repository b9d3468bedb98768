"""The three shapes in which ciphertext stands in a model instance until it is accessed.

Each is bytes, told apart by its exact type, so that reading ten thousand rows makes no object more
than it must.
"""

from __future__ import annotations

from typing import Any


class _Ciphertext(bytes):
    __slots__ = ()

    def __repr__(self) -> str:
        """Show the length."""
        return f"<encrypted value, {len(self)} bytes>"


class Selected(_Ciphertext):
    """Mark, row and envelope, as a SELECT returned them; for fields whose clear values are bytes.

    For every other field plain :class:`bytes` in the instance's ``__dict__`` means the same.
    """

    __slots__ = ()


class Bare(_Ciphertext):
    """An envelope alone, as ``raw()`` returns it; its row is the instance that holds it."""

    __slots__ = ()


class Bound(_Ciphertext):
    """An envelope made for one row and ready to be written to it; the only type a write takes.

    ``subject`` is the value of the row's subject field that it was made for, ``row`` the sixteen
    bytes of the row.
    """

    subject: Any = None
    row: bytes | None = None
