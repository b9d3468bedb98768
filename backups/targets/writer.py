"""One file on its way to a target: whole, or not there."""

from __future__ import annotations

import abc
from typing import Self


class Writer(abc.ABC):
    """One file on its way to a target; it exists only after :meth:`commit`.

    A block that is left by an exception aborts it.
    """

    @abc.abstractmethod
    def write(self, chunk: bytes) -> object:
        """Take the chunk."""

    @abc.abstractmethod
    def commit(self) -> None:
        """Make it exist, durably; raises if it could not."""

    @abc.abstractmethod
    def abort(self) -> None:
        """Leave nothing behind; never raises."""

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Abort after a failure."""
        if kind is not None:
            self.abort()
