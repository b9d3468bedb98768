"""Files on a target without paths (S3, …): one streamed ``save()`` each, complete or not there."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from django.core.files.base import File

from backups.targets.writer import Writer
from backups.threads import BackgroundCall, BlockQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.files.storage import Storage

QUEUED_CHUNKS = 64  # of 64 KiB, age's own chunk


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
