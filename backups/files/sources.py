"""The storages whose files are backed up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from django.core.files.storage import InvalidStorageError, storages

from backups.conf import settings
from backups.errors import BackupsRefusal
from garrison.drills import FILE_STORAGES

if TYPE_CHECKING:
    from django.core.files.storage import Storage


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
