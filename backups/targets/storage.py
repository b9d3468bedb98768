"""A target: one Django storage that holds backups."""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING

from django.core.files.storage import InvalidStorageError, storages

from backups.conf import settings
from backups.errors import TargetFailed
from backups.layout import FILES, FOLDER_NAME, PARTIAL, is_ours
from backups.targets.objects import hold_few_parts, opened
from backups.targets.writers import PathWriter, StreamWriter

if TYPE_CHECKING:
    from django.core.files.storage import Storage

    from backups.targets.writers import Writer


class Target:
    """One storage that holds backups, addressed below ``BACKUPS_FOLDER``."""

    def __init__(self, alias: str, storage: Storage, folder: str = "") -> None:
        """Wrap the storage."""
        self.alias = alias
        self.storage = storage
        self._folder = folder.strip("/")
        hold_few_parts(storage)

    def _full(self, name: str) -> str:
        return f"{self._folder}/{name}" if self._folder else name

    def _path(self, name: str) -> Path | None:
        try:
            return Path(self.storage.path(self._full(name)))
        except NotImplementedError:  # Django's word for a storage without paths
            return None

    def writer(self, name: str) -> Writer:
        """Begin a file."""
        path = self._path(name)
        return PathWriter(path) if path else StreamWriter(self.storage, self._full(name))

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading; on a disk a plain one, for a pipe would be waited for."""
        path = self._path(name)
        if path is not None and not stat.S_ISREG(path.lstat().st_mode):
            raise FileNotFoundError("it is a link or a device, and no file of ours")
        return opened(self.storage, self._full(name))

    def list(self, folder: str) -> tuple[list[str], list[str]]:
        """Return the names of the folders and files in a folder; none where it does not exist."""
        try:
            folders, files = self.storage.listdir(self._full(folder))
        except FileNotFoundError:
            return [], []
        return sorted(folders), sorted(files)

    def delete(self, name: str) -> None:
        """Delete a file, where it is there."""
        self.storage.delete(self._full(name))

    def delete_folder(self, folder: str) -> None:
        """Delete the files of a backup, the manifest first, and the folder itself.

        Nothing else is deleted: neither what has another name, nor anything behind a link that
        somebody has put in the folder's place.
        """
        path = self._path(folder)
        if path is not None and path.is_symlink():
            path.unlink()
            return
        ours = filter(is_ours, self.list(folder)[1])
        for name in sorted(ours, key=lambda name: not name.startswith("manifest")):
            self.delete(f"{folder}/{name}")
        if path is not None:
            with contextlib.suppress(OSError):  # not empty: something that is not ours
                path.rmdir()

    def is_away(self) -> bool:
        """Return whether a folder is not there, or holds nothing of ours: not mounted, perhaps."""
        root = self._path(".")
        if root is None:
            return False
        try:
            names = [path.name for path in root.iterdir()]
        except OSError:
            return True
        return not any(name == FILES or FOLDER_NAME.match(name) for name in names)

    def sweep_partials(self) -> None:
        """Delete what dead runs have left half-written; object stores have nothing of the kind."""
        root = self._path(".")
        if root is None or not root.is_dir():
            return
        partials = [
            path
            for folder in root.iterdir()
            if not folder.is_symlink() and FOLDER_NAME.match(folder.name)
            for path in folder.glob("*" + PARTIAL)
        ]
        partials += (root / FILES).glob("??/*" + PARTIAL)
        for path in partials:
            path.unlink(missing_ok=True)


def target(alias: str) -> Target:
    """Return one target by its alias in ``STORAGES``."""
    try:
        return Target(alias, storages[alias], settings.folder)
    except InvalidStorageError:
        raise TargetFailed(
            f"BACKUPS_TARGETS names {alias!r}, which is not in STORAGES. Add it there."
        ) from None


def targets() -> list[Target]:
    """Return every configured target."""
    return [target(alias) for alias in settings.targets]
