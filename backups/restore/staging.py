"""Putting files back: all are written and checked first, then they change places.

Inside each storage with paths the new files wait in a folder of ours, and the old ones end in
another, so both swaps are renames on one file system, and the way back is the same renames. Any
other storage (S3, …) has no rename: there a file whose content differs is replaced, one by one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from backups import files, pipeline
from backups.errors import BackupDamaged
from backups.files import OURS
from backups.targets import StreamWriter

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


@dataclass
class StagedFiles:
    """Files that are written and checked, and have not changed places yet."""

    opened: OpenedBackup
    mark: str
    roots: dict[str, Path] = field(default_factory=dict)
    count: int = 0
    replaced: list[str] = field(default_factory=list)
    _moved: list[tuple[Path, Path]] = field(default_factory=list)
    _sent: list[Entry] = field(default_factory=list)

    def prepare(self) -> None:
        """Write everything; whatever fails, nothing staged is left."""
        state = self.opened.manifest.files
        for alias in state.storages if state else ():
            root = files.root(files.storage(alias))
            if root is not None:
                self.roots[alias] = root
                root.mkdir(parents=True, exist_ok=True)
                sweep(root)
                self._new(root).mkdir()

        def write(entry: Entry) -> None:
            self._stage(entry)
            self.count += 1

        try:
            self.opened.each_file(write)
        except BaseException:
            self.discard()
            raise

    def _new(self, root: Path) -> Path:
        return root / f"{OURS}new-{self.mark}"

    def _old(self, root: Path) -> Path:
        return root / f"{OURS}before-{self.mark}"

    def _stage(self, entry: Entry) -> None:
        root = self.roots.get(entry.storage)
        if root is None:
            self._sent.append(entry)
            return
        mode = getattr(files.storage(entry.storage), "file_permissions_mode", None)
        write_file(self.opened, entry, self._new(root) / entry.path, mode=mode)

    def swap(self) -> None:
        """Let the new files change places with the old; on failure everything is moved back."""
        try:
            for root in self.roots.values():
                self._swap_root(root)
        except BaseException:
            self._move_back()
            raise
        for entry in self._sent:
            self._replace(entry)

    def _swap_root(self, root: Path) -> None:
        old, new = self._old(root), self._new(root)
        old.mkdir()
        for each in sorted(root.iterdir()):
            if not each.name.startswith(OURS):
                self._move(each, old / each.name)
        for each in sorted(new.iterdir()):
            self._move(each, root / each.name)
        new.rmdir()
        if not any(old.iterdir()):
            old.rmdir()
        else:
            self.replaced.append(str(old))

    def _move(self, path: Path, to: Path) -> None:
        path.rename(to)
        self._moved.append((path, to))

    def _move_back(self) -> None:
        for path, to in reversed(self._moved):
            path.parent.mkdir(exist_ok=True)
            to.rename(path)
        self.discard()
        for root in self.roots.values():
            with contextlib.suppress(OSError):
                self._old(root).rmdir()

    def _replace(self, entry: Entry) -> None:
        of = files.storage(entry.storage)
        if of.exists(entry.path):
            with of.open(entry.path, "rb") as file:
                if pipeline.tally(file).sha256 == entry.sealed.raw_sha256:
                    return
            of.delete(entry.path)
        with StreamWriter(of, entry.path) as out:
            self.opened.file(entry, out)
            out.commit()

    def discard(self) -> None:
        """Remove what was staged."""
        for root in self.roots.values():
            shutil.rmtree(self._new(root), ignore_errors=True)


def sweep(root: Path) -> None:
    """Delete what a killed restore has staged; what it has set aside stays, it is the old data."""
    for left in root.glob(f"{OURS}new-*"):
        shutil.rmtree(left, ignore_errors=True)


def require_known_storages(opened: OpenedBackup) -> None:
    """Refuse files of a storage that this project does not have."""
    state = opened.manifest.files
    for alias in state.storages if state else ():
        try:
            files.storage(alias)
        except Exception as failure:
            raise BackupDamaged(
                f"The backup holds files of the storage {alias!r}, which is not in STORAGES here. "
                "Add it, or restore with --only database."
            ) from failure
