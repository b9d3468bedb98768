"""One file on its way to a target: whole, or not there."""

from __future__ import annotations

import abc


class Writer(abc.ABC):
    """One file on its way to a target; it exists only after :meth:`commit`."""

    size = 0

    @abc.abstractmethod
    def write(self, chunk: bytes) -> None:
        """Take the chunk."""

    @abc.abstractmethod
    def commit(self) -> None:
        """Make it exist, durably; raises if it could not."""

    @abc.abstractmethod
    def abort(self) -> None:
        """Leave nothing behind; never raises."""
