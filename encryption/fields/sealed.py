"""The three shapes in which ciphertext stands in a model instance until somebody looks at it.

Each is bytes, told apart by its exact type, so that reading ten thousand rows makes no object more
than it must.
"""

from __future__ import annotations

from typing import TypeAlias


class Selected(bytes):
    """Mark, row and envelope, as a SELECT gave them; for fields whose clear values are bytes too.

    For every other field plain :class:`bytes` in the instance's ``__dict__`` means the same.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Show the length."""
        return f"<encrypted value, {len(self)} bytes>"


class Bare(bytes):
    """An envelope alone, as ``raw()`` gives it; its row is the instance that holds it."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show the length."""
        return f"<encrypted value, {len(self)} bytes>"


class Bound(bytes):
    """An envelope made for one row and ready to be written to it; the only type a write takes."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show the length."""
        return f"<encrypted value, {len(self)} bytes>"


Unopened: TypeAlias = "Selected | Bare | bytes"
