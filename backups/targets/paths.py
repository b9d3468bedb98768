"""Files on a target with paths: written beside their names, flushed to disk, renamed."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from backups.layout import PARTIAL
from backups.targets.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

FILE_MODE, FOLDER_MODE = 0o600, 0o700


def _make_folder(path: Path) -> None:
    """Make a folder and those above it, each for its owner only."""
    if not path.is_dir():
        _make_folder(path.parent)
        path.mkdir(mode=FOLDER_MODE, exist_ok=True)


class PathWriter(Writer):
    """Writes beside the final name, then renames."""

    def __init__(self, path: Path) -> None:
        """Open ``path.partial``; a leftover of a dead run is replaced."""
        self._path = path
        self._partial = path.with_name(path.name + PARTIAL)
        _make_folder(path.parent)
        self._partial.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.open(self._partial, flags, FILE_MODE)
        self._is_open = True

    def write(self, chunk: bytes) -> None:
        """Write all of it."""
        view = memoryview(chunk)
        while view:
            view = view[os.write(self._file, view) :]

    def commit(self) -> None:
        """Flush to the disk, rename, flush the folder."""
        os.fsync(self._file)
        self._close()
        self._partial.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def abort(self) -> None:
        """Remove the partial file."""
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self._file)
