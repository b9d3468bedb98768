"""Bringing single files from a backup into a new folder; nothing that exists is changed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from backups import events
from backups.errors import BackupNotFound, BackupsRefusal
from backups.files import shown
from backups.restore.writing import write_file
from backups.services import indexing
from garrison.events import emit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backups.files import Entry
    from backups.opening import OpenedBackup


def find_files(opened: OpenedBackup, path: str) -> list[Entry]:
    """Find the file at a path, or those in the folder there; ``storage:path`` means one storage."""
    found: list[Entry] = []
    wanted = path.rstrip("/")

    def take(entry: Entry) -> None:
        for name in (entry.path, f"{entry.storage}:{entry.path}"):
            if name == wanted or name.startswith(f"{wanted}/"):
                found.append(entry)
                return

    opened.each_file(take)  # to its end, which alone proves the list
    if not found:
        raise BackupNotFound(
            f"The backup holds no file {shown(path)[:200]}. "
            f"`manage.py backup_list {opened.folder}` shows what it holds."
        )
    return found


def bring_files(opened: OpenedBackup, entries: Sequence[Entry], *, into: Path) -> None:
    """Write files below a new folder, by storage and path; all of them, or the folder is removed.

    Only their own encrypted files are read. Refuses a folder that exists.
    """
    try:
        into.mkdir(mode=0o700, parents=True)
    except OSError as failure:
        raise BackupsRefusal(
            f"{into} cannot be made: {failure.strerror}. Name a new folder."
        ) from failure
    try:
        for entry in entries:
            write_file(opened, entry, into / entry.storage / entry.path)
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise
    if indexing.exists():
        target = f"file:{entries[0].storage}:{entries[0].shown_path}"[:200]
        data = {"folder": opened.folder, "files": len(entries)}
        emit(events.RESTORE_COMPLETED, target=target, data=data)
