"""The storages whose files are backed up."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.files.storage import InvalidStorageError, storages

from backups.conf import settings
from backups.errors import BackupsRefusal
from garrison.drills import FILE_STORAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.core.files.storage import Storage

OURS = ".garrison-"  # what restores leave inside a storage: staged files, and those from before


def aliases() -> list[str]:
    """Return the storages whose files are backed up: those of the site, then those of the apps."""
    brought = [alias for alias, _owner in FILE_STORAGES.items()]
    return list(dict.fromkeys([*settings.file_storages, *brought]))


def storage(alias: str) -> Storage:
    """Return a file storage by its alias."""
    try:
        return storages[alias]
    except InvalidStorageError:
        raise BackupsRefusal(f"The file storage {alias!r} is not in STORAGES.") from None


def root(of: Storage) -> Path | None:
    """Return the folder of a storage, or ``None`` where it has no paths."""
    try:
        return Path(of.path(""))
    except NotImplementedError:  # Django's word for a storage without paths
        return None


def names(of: Storage) -> Iterator[str]:
    """Return every file's name, folder by folder.

    Symbolic links are not followed, they may lead anywhere. Pipes, sockets and devices are passed
    over: opening one may wait for ever. However deep the folders are, there is no recursion.
    """
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            folders, files = of.listdir(folder)
        except FileNotFoundError:
            continue
        base = f"{folder}/" if folder else ""
        yield from (base + name for name in sorted(files) if _is(stat.S_ISREG, of, base + name))
        waiting += (
            base + name
            for name in sorted(folders, reverse=True)
            if _is(stat.S_ISDIR, of, base + name) and not (base == "" and name.startswith(OURS))
        )


def _is(kind: Callable[[int], bool], of: Storage, name: str) -> bool:
    """Return whether it is of that kind itself; a storage without paths holds nothing else."""
    try:
        return kind(os.lstat(of.path(name)).st_mode)
    except NotImplementedError:  # Django's word for a storage without paths
        return True
    except FileNotFoundError:  # vanished since it was listed; whoever opens it finds out
        return True
