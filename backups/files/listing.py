"""The list of files, sealed while it grows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

from backups.threads import BackgroundCall, BlockQueue

if TYPE_CHECKING:
    from backups.files.entry import Entry
    from backups.outlet import Outlet
    from backups.pipeline import Sealed

QUEUED_BLOCKS = 4
BLOCK = 64 * 1024


class ListWriter:
    """Seals the list of files in a thread while it grows; it exists only after :meth:`commit`."""

    def __init__(self, outlet: Outlet, name: str) -> None:
        """Start sealing."""
        self._blocks = BlockQueue(QUEUED_BLOCKS)
        self._gathered = bytearray()
        self._sealing = BackgroundCall(
            partial(outlet.seal, self._blocks, name), on_end=self._blocks.abandon
        )

    def add(self, entry: Entry) -> None:
        """Add one line; raises what sealing has failed with."""
        self._gathered += entry.line().encode()
        if len(self._gathered) >= BLOCK:
            self._blocks.write(bytes(self._gathered))
            self._gathered.clear()

    def commit(self) -> Sealed:
        """End the list and make it exist."""
        self._blocks.write(bytes(self._gathered))
        self._blocks.end()
        sealed, _holders = self._sealing.result()
        return sealed

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Leave nothing behind after a failure."""
        if kind is not None:
            self._blocks.abandon()
        self._sealing.wait()
