"""Every file of a storage, and what tells that one has changed since."""

from __future__ import annotations

import errno
import os
import stat
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from backups.conf import settings
from backups.errors import FileUnreadable
from backups.files.entry import shown
from backups.files.skipped import EXCLUDED, LINK, UNREADABLE, Skipped, unreadable
from backups.files.sources import aliases, root, storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.files.storage import Storage

OURS = ".garrison-"  # what restores leave inside a storage: staged files, and those from before
FILE, FOLDER = "file", "folder"
_KINDS = {stat.S_IFREG: FILE, stat.S_IFDIR: FOLDER, stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}


class Signature(NamedTuple):
    """What a file looks like without being read; another one means that it has changed.

    The time of change and the inode are what a program that sets back the time of modification
    cannot set back; an object store has neither, and sets its own time.
    """

    size: int
    modified_ns: int
    changed_ns: int = 0
    inode: int = 0
    mode: int | None = None

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        """Take it from what the file system knows; of the mode only the permissions count."""
        times = (status.st_mtime_ns, status.st_ctime_ns)
        return cls(status.st_size, *times, status.st_ino, status.st_mode & 0o777)


class Found(NamedTuple):
    """A file of a storage; without a signature it is read each time."""

    name: str
    signature: Signature | None


def look_at(of: Storage, name: str) -> Signature | None:
    """Return what a file looks like now; ``None`` where it has vanished or nobody can tell."""
    try:
        return Signature.of(os.stat(of.path(name)))  # noqa: PTH116 - a name, not a path
    except OSError:
        return None
    except NotImplementedError:  # Django's word for a storage without paths
        return _look_at_object(of, name)


def _look_at_object(of: Storage, name: str) -> Signature | None:
    try:
        at = of.get_modified_time(name)
        return Signature(of.size(name), round(at.timestamp() * 1_000_000) * 1000)
    except (NotImplementedError, OSError):
        return None


class Walk:
    """The files of one storage, folder by folder; however deep they are, there is no recursion.

    Pipes, sockets and devices are skipped: opening one may wait for ever. So are symbolic links,
    except those that lead into ``BACKUPS_FOLLOW_LINKS_TO``; a link to any other folder that no
    storage holds is refused, for a backup without what is there would not be whole.
    """

    def __init__(self, alias: str, skipped: Skipped) -> None:
        """Prepare; raises where the storage is not in ``STORAGES``."""
        self.alias, self.of = alias, storage(alias)
        self._skipped = skipped
        self._root = root(self.of)
        self._exclude = settings.exclude
        self._followed = [Path(each).resolve() for each in settings.follow_links_to]
        roots = (root(storage(each)) for each in aliases())
        self._covered = [each.resolve() for each in roots if each is not None]

    def files(self) -> Iterator[Found]:
        """Return every file; what is skipped is noted."""
        waiting = [""]
        while waiting:
            inner = []
            folder = waiting.pop()
            place = self.of.path(folder) if self._root else ""
            for name, is_folder in self._listed(folder):
                path = f"{folder}/{name}" if folder else name
                full = f"{place}/{name}" if self._root else ""
                kind, signature = self._kind(path, full, is_folder=is_folder)
                if kind == FILE:
                    yield Found(path, signature)
                elif kind == FOLDER:
                    inner.append(path)
                else:
                    self._skipped.note(kind, self.alias, path)
            waiting += (each for each in reversed(inner) if not each.startswith(OURS))

    def _listed(self, folder: str) -> list[tuple[str, bool]]:
        """Return the names in a folder; what a name of a disk is, nobody has looked at yet.

        Not by the storage's ``listdir``, which fails for all of a folder with one circular link.
        """
        folders: list[str] = []
        try:
            if self._root is None:
                folders, names = self.of.listdir(folder)
            else:
                names = os.listdir(self.of.path(folder))  # noqa: PTH208 - names, not paths
        except FileNotFoundError as failure:
            if not folder and self._root and _leads_nowhere(self._root):
                raise unreadable(self.alias, folder, failure) from failure
            return []  # vanished since it was found, or nothing was ever saved
        except OSError as failure:
            if not folder:
                raise unreadable(self.alias, folder, failure) from failure
            self._skipped.note_unreadable(self.alias, folder, failure)
            return []
        return [(each, False) for each in sorted(names)] + [
            (each, True) for each in sorted(folders)
        ]

    def _kind(self, path: str, full: str, *, is_folder: bool) -> tuple[str, Signature | None]:
        if self._is_excluded(path):
            return EXCLUDED, None
        if self._root is None:
            return (FOLDER, None) if is_folder else (FILE, _look_at_object(self.of, path))
        try:
            status = os.lstat(full)
            if stat.S_ISLNK(status.st_mode):
                return self._linked(path, full)
        except FileNotFoundError:  # vanished since it was listed; whoever opens it finds out
            return FILE, None
        except OSError:
            return UNREADABLE, None
        return _KINDS.get(stat.S_IFMT(status.st_mode), "device"), Signature.of(status)

    def _is_excluded(self, path: str) -> bool:
        """Return whether a pattern matches the path, or one without a slash its last name."""
        name = path.rpartition("/")[2]
        return any(fnmatchcase(path if "/" in each else name, each) for each in self._exclude)

    def _linked(self, path: str, full: str) -> tuple[str, Signature | None]:
        try:
            status, real = os.stat(full), Path(full).resolve()  # noqa: PTH116 - a name
        except OSError as failure:
            if failure.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                raise
            return LINK, None  # it leads nowhere, or in a circle
        if any(real.is_relative_to(each) for each in self._covered):
            return LINK, None  # what is there is backed up under its own name
        is_followed = any(real.is_relative_to(each) for each in self._followed)
        if not stat.S_ISDIR(status.st_mode):
            is_followed = is_followed and stat.S_ISREG(status.st_mode)
            return (FILE, Signature.of(status)) if is_followed else (LINK, None)
        if not is_followed:
            raise FileUnreadable(
                f"{shown(path)[:300]} of the storage {self.alias!r} is a link to the folder "
                f"{shown(str(real))[:300]}, which no storage holds. Name that in "
                "BACKUPS_FOLLOW_LINKS_TO to back it up, or the link in BACKUPS_EXCLUDE."
            )
        self._covered.append(real)  # once: links in a circle have an end
        return FOLDER, None


def _leads_nowhere(path: Path) -> bool:
    return any(each.is_symlink() and not each.exists() for each in (path, *path.parents))
