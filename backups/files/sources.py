"""The storages whose files are backed up."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from django.core.files.storage import storages
from django.core.files.storage.handler import InvalidStorageError

from backups.errors import BackupsRefusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.files.storage import Storage

OURS = ".garrison-"  # what restores leave inside a storage: staged files, and those from before


def storage(alias: str) -> Storage:
    """Give a file storage by its alias."""
    try:
        return storages[alias]
    except InvalidStorageError:
        raise BackupsRefusal(
            f"BACKUPS_FILE_STORAGES names {alias!r}, which is not in STORAGES."
        ) from None


def names(of: Storage, folder: str = "") -> Iterator[str]:
    """Give every file's name; symbolic links are not followed, they may lead anywhere."""
    try:
        folders, files = of.listdir(folder)
    except FileNotFoundError:
        return
    base = f"{folder}/" if folder else ""
    for name in sorted(files):
        if not _is_link(of, base + name):
            yield base + name
    for name in sorted(folders):
        if not _is_link(of, base + name) and not (base == "" and name.startswith(OURS)):
            yield from names(of, base + name)


def _is_link(of: Storage, name: str) -> bool:
    try:
        return os.path.islink(of.path(name))  # noqa: PTH114 - a storage's path is text
    except NotImplementedError:
        return False
