"""Writing one file of a backup to a disk: its content, its mode, its time."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from backups.files import Entry
    from backups.opening import OpenedBackup

HOLE = bytes(64 * 1024)  # as many zeros in a row are not written; what is read there is the same


class _Sparse:
    """Leaves holes where the zeros are, so that a sparse file needs no more room than before."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def write(self, chunk: bytes) -> int:
        for start in range(0, len(chunk), len(HOLE)):
            piece = chunk[start : start + len(HOLE)]
            if piece == HOLE:
                self._out.seek(len(HOLE), os.SEEK_CUR)
            else:
                self._out.write(piece)
        return len(chunk)


def write_file(opened: OpenedBackup, entry: Entry, path: Path, *, mode: int | None = None) -> None:
    """Write a file that is not there yet; on return it was found whole.

    ``mode`` is for an entry that has none. A failure leaves what was written to the caller.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = mode if entry.mode is None else entry.mode
    with path.open("xb") as out:
        opened.file(entry, _Sparse(out))
        out.truncate(out.tell())
        out.flush()
        if mode is not None:
            os.fchmod(out.fileno(), mode)
        if entry.modified_ns is not None:
            os.utime(out.fileno(), ns=(entry.modified_ns, entry.modified_ns))
