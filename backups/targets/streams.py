"""Files on a target without paths (S3, …): one streamed ``save()`` each, complete or not there."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING

from django.core.files.base import File

from backups.targets.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.files.storage import Storage

QUEUED_CHUNKS = 64  # of 64 KiB, age's own chunk


class _Abandoned(Exception):  # noqa: N818 - told to the storage, never shown
    """The write was given up."""


class _Pulled(File):  # type: ignore[type-arg]  # generic only in the stubs
    """What a storage's ``save()`` reads from while we are still writing."""

    def __init__(self, chunks: queue.Queue[bytes | None], given_up: threading.Event) -> None:
        super().__init__(None, name="backup")
        self._queue = chunks
        self._given_up = given_up
        self._rest = b""
        self._ended = False
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
        while wanted and (block := self._next(wanted)):
            parts.append(block)
            wanted -= len(block)
        data = b"".join(parts)
        self._position += len(data)
        return data

    def _next(self, most: int) -> bytes:
        if not self._rest and not self._ended:
            block = self._queue.get()
            if self._given_up.is_set():
                raise _Abandoned
            self._ended = block is None
            self._rest = block or b""
        out, self._rest = self._rest[:most], self._rest[most:]
        return out


class StreamWriter(Writer):
    """Feeds a storage's ``save()``, which runs in a thread of its own."""

    def __init__(self, storage: Storage, name: str) -> None:
        """Start saving."""
        self._storage = storage
        self._name = name
        self._chunks: queue.Queue[bytes | None] = queue.Queue(QUEUED_CHUNKS)
        self._given_up = threading.Event()
        self._saved = ""
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._save, daemon=True)
        self._thread.start()

    def _save(self) -> None:
        try:
            content = _Pulled(self._chunks, self._given_up)
            self._saved = self._storage.save(self._name, content)
        except BaseException as failure:  # noqa: BLE001 - carried to the thread that writes
            self._failure = failure

    def write(self, chunk: bytes) -> None:
        """Hand the chunk over; what the storage raised is raised here."""
        self._put(bytes(chunk))
        self.size += len(chunk)

    def _put(self, chunk: bytes | None) -> None:
        is_put = False
        while not is_put:
            if not self._thread.is_alive():
                raise self._failure or OSError("the storage stopped reading")
            try:
                self._chunks.put(chunk, timeout=0.2)
                is_put = True
            except queue.Full:
                continue

    def commit(self) -> None:
        """Say that this was all, and wait until the storage has it."""
        self._put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        if self._saved != self._name:
            self._storage.delete(self._saved)
            raise OSError(f"the storage took another name than {self._name}")

    def abort(self) -> None:
        """Make ``save()`` fail, and delete what it may have left."""
        self._given_up.set()
        while self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._chunks.put(None, timeout=0.05)
            self._thread.join(0.05)
        for name in {self._name, self._saved} - {""}:
            with contextlib.suppress(Exception):
                if self._storage.exists(name):
                    self._storage.delete(name)
