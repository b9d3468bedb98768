"""What every dumper offers."""

from __future__ import annotations

import abc
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from datetime import datetime

    from backups.manifest import DatabaseState
    from backups.processes import Program


class Dumper(abc.ABC):
    """Holds one snapshot open for a block, which can be dumped and described.

    ``suffix`` names the dump as stock tools know it, ``snapshot_at`` is when the snapshot was
    taken, ``expected_bytes`` a guess for a progress bar.
    """

    suffix: ClassVar[str]
    snapshot_at: datetime
    expected_bytes: int = 0

    def __init__(self, using: str) -> None:
        """Prepare; nothing is opened yet."""
        self._using = using
        self._open = ExitStack()  # what is closed when the snapshot is let go

    def __enter__(self) -> Self:
        """Take the snapshot."""
        try:
            self.take()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Let the snapshot go."""
        self._open.close()

    @abc.abstractmethod
    def take(self) -> None:
        """Open what holds the snapshot, and note when it was taken."""

    @abc.abstractmethod
    def cancel(self) -> None:
        """Make a :meth:`describe` in another thread end soon, with an error."""

    @abc.abstractmethod
    def stream(self) -> Program | IO[bytes]:
        """Start the dump; it reads to an empty end only if all of it was right."""

    @abc.abstractmethod
    def describe(self) -> DatabaseState:
        """Count and checksum every table of the snapshot."""
