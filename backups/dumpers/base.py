"""What every dumper offers."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from backups.manifest import DatabaseState
    from backups.processes import Program


class Dumper(abc.ABC):
    """Holds one snapshot open, and gives the dump and the description of that snapshot.

    ``part`` names the dump as stock tools know it; ``snapshot_at`` is when the snapshot was taken;
    ``expected_bytes`` a guess for a progress bar.
    """

    part: ClassVar[str]
    snapshot_at: datetime
    expected_bytes: int = 0

    @abc.abstractmethod
    def __enter__(self) -> Self:
        """Take the snapshot."""

    @abc.abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the snapshot go."""

    @abc.abstractmethod
    def cancel(self) -> None:
        """Make a :meth:`describe` in another thread end soon, with an error."""

    @abc.abstractmethod
    def stream(self) -> Program:
        """Start the dump; it reads to an empty end only if all of it was right."""

    @abc.abstractmethod
    def describe(self) -> DatabaseState:
        """Count and checksum every table of the snapshot."""
