"""Where backups go: any Django storage, with writes that are whole or not there.

A storage with paths gets ``name.partial``, flushed to disk and renamed. Any other (S3, …) gets one
streamed ``save()``, which object stores complete at the end or not at all.
"""

from __future__ import annotations

import abc
import contextlib
import os
import queue
import threading
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from django.core.files.base import File
from django.core.files.storage import storages
from django.core.files.storage.handler import InvalidStorageError

from backups.conf import settings
from backups.errors import TargetFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.files.storage import Storage

PARTIAL = ".partial"
QUEUED_CHUNKS = 64  # of 64 KiB, age's own chunk
FILE_MODE, FOLDER_MODE = 0o600, 0o700


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
        self.size += len(chunk)

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
        """Give blocks until the end."""
        while block := self.read(chunk_size or 64 * 1024):
            yield block

    def read(self, size: int = -1) -> bytes:
        """Give exactly ``size`` bytes, fewer only at the end."""
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


class Target:
    """One storage that holds backups, addressed below ``BACKUPS_FOLDER``."""

    def __init__(self, alias: str, storage: Storage, folder: str = "") -> None:
        """Wrap the storage."""
        self.alias = alias
        self.storage = storage
        self._folder = folder.strip("/")

    def _full(self, name: str) -> str:
        return f"{self._folder}/{name}" if self._folder else name

    def _path(self, name: str) -> Path | None:
        try:
            return Path(self.storage.path(self._full(name)))
        except NotImplementedError:
            return None

    def writer(self, name: str) -> Writer:
        """Begin a file."""
        path = self._path(name)
        return PathWriter(path) if path else StreamWriter(self.storage, self._full(name))

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""
        return self.storage.open(self._full(name), "rb")

    def exists(self, name: str) -> bool:
        """Tell whether a file is there."""
        return self.storage.exists(self._full(name))

    def list(self, folder: str) -> tuple[list[str], list[str]]:
        """Give the names of the folders and files in a folder; none where it does not exist."""
        try:
            folders, files = self.storage.listdir(self._full(folder))
        except FileNotFoundError:
            return [], []
        return sorted(folders), sorted(files)

    def delete(self, name: str) -> None:
        """Delete a file, where it is there."""
        self.storage.delete(self._full(name))

    def delete_folder(self, folder: str) -> None:
        """Delete every file in a folder, the manifest first, and the folder itself."""
        _folders, files = self.list(folder)
        for name in sorted(files, key=lambda name: not name.startswith("manifest")):
            self.delete(f"{folder}/{name}")
        path = self._path(folder)
        if path is not None:
            with contextlib.suppress(OSError):  # not empty: something that is not ours
                path.rmdir()

    def sweep_partials(self) -> int:
        """Delete what dead runs have left half-written; object stores have nothing of the kind."""
        root = self._path(".")
        if root is None or not root.is_dir():
            return 0
        partials = [path for path in root.rglob("*" + PARTIAL) if path.is_file()]
        for path in partials:
            path.unlink(missing_ok=True)
        return len(partials)


def target(alias: str) -> Target:
    """Give one target by its alias in ``STORAGES``."""
    try:
        return Target(alias, storages[alias], settings.folder)
    except InvalidStorageError:
        raise TargetFailed(
            f"BACKUPS_TARGETS names {alias!r}, which is not in STORAGES. Add it there."
        ) from None


def targets() -> list[Target]:
    """Give every configured target."""
    return [target(alias) for alias in settings.targets]


class Fan:
    """Writes one file to several targets; one that fails is left out, the others go on."""

    def __init__(self, targets: list[Target], failures: dict[str, str], name: str) -> None:
        """Open a writer on each target that has not failed before."""
        self._failures = failures
        self._writers: dict[str, Writer] = {}
        for each in targets:
            if each.alias not in failures:
                self._guard(each.alias, partial(self._add, each, name))
        self._require_any()

    def _add(self, each: Target, name: str) -> None:
        self._writers[each.alias] = each.writer(name)

    def _guard(self, alias: str, step: Any) -> None:
        try:
            step()
        except Exception as failure:  # noqa: BLE001 - storages raise what they like
            self._failures[alias] = f"{type(failure).__name__}: {failure}"[:500]
            writer = self._writers.pop(alias, None)
            if writer is not None:
                writer.abort()

    def _require_any(self) -> None:
        if not self._writers:
            told = "; ".join(f"{alias}: {text}" for alias, text in self._failures.items())
            raise TargetFailed(f"No target could store the backup. {told}"[:900])

    def write(self, chunk: bytes) -> int:
        """Write to each."""
        for alias, writer in list(self._writers.items()):
            self._guard(alias, partial(writer.write, chunk))
        self._require_any()
        return len(chunk)

    def commit(self) -> list[str]:
        """Commit on each; gives the aliases that hold the file now."""
        for alias, writer in list(self._writers.items()):
            self._guard(alias, writer.commit)
        self._require_any()
        return list(self._writers)

    def abort(self) -> None:
        """Leave nothing behind."""
        for writer in self._writers.values():
            writer.abort()
        self._writers.clear()
