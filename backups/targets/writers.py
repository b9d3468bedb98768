"""One file on its way to a target: whole, or not there.

On a target with paths it is written beside its name, flushed to disk and renamed. On any other (S3,
…) it is one streamed ``save()``, which object stores complete at the end or not at all.
"""

from __future__ import annotations

import abc
import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING, Self

from django.core.files.base import File

from backups.layout import PARTIAL
from backups.threads import BackgroundCall, BlockQueue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django.core.files.storage import Storage

FILE_MODE, FOLDER_MODE = 0o600, 0o700
QUEUED_CHUNKS = 64  # of 64 KiB, age's own chunk


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


class _StreamedFile(File):  # type: ignore[type-arg]  # generic only in the stubs
    """What a storage's ``save()`` reads from while we are still writing."""

    def __init__(self, chunks: BlockQueue) -> None:
        super().__init__(None, name="backup")
        self._chunks = chunks
        self._position = 0

    closed = False  # it ends when the writer says so
    mode = "rb"

    def __bool__(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Allow what storages do before they begin: go to where we are."""
        if whence == 0 and offset == self._position:
            return offset
        raise OSError("a backup is streamed and cannot go back")

    def multiple_chunks(self, chunk_size: int | None = None) -> bool:  # noqa: ARG002
        return True

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Return blocks until the end."""
        while block := self.read(chunk_size or 64 * 1024):
            yield block

    def read(self, size: int = -1) -> bytes:
        """Return exactly ``size`` bytes, fewer only at the end."""
        parts: list[bytes] = []
        wanted = size if size >= 0 else 1 << 62
        while wanted and (block := self._chunks.read(wanted)):
            parts.append(block)
            wanted -= len(block)
        data = b"".join(parts)
        self._position += len(data)
        return data


class StreamWriter(Writer):
    """Feeds a storage's ``save()``, which runs in a thread of its own."""

    def __init__(self, storage: Storage, name: str) -> None:
        """Start saving."""
        self._storage = storage
        self._name = name
        self._chunks = BlockQueue(QUEUED_CHUNKS)
        save = partial(storage.save, name, _StreamedFile(self._chunks))
        self._saving = BackgroundCall(save, on_end=self._chunks.abandon)

    def write(self, chunk: bytes) -> None:
        """Hand the chunk over; what the storage raised is raised here."""
        self._chunks.write(bytes(chunk))

    def commit(self) -> None:
        """Mark the end, and wait until the storage has it all."""
        self._chunks.write(b"")  # raises where the storage has stopped reading before the end
        self._chunks.end()
        saved = self._saving.result()
        if saved != self._name:
            self._storage.delete(saved)
            raise OSError(f"the storage took another name than {self._name}")

    def abort(self) -> None:
        """Make ``save()`` fail, and delete what it may have left."""
        self._chunks.abandon()
        self._saving.wait()
        saved = self._saving.result() if self._saving.failure is None else self._name
        for name in {self._name, saved}:
            with contextlib.suppress(Exception):
                if self._storage.exists(name):
                    self._storage.delete(name)
