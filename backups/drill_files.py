"""The files of a backup as a read-only Django storage, decrypted as they are read.

A drill's checks look at restored files through it; nothing is written to disk in plain text.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from django.core.files.base import File
from django.core.files.storage import Storage

from backups import pipeline
from backups.errors import BackupDamaged

if TYPE_CHECKING:
    from backups.files import Entry
    from backups.opening import OpenedBackup


class _ReadOnlyError(NotImplementedError):  # what Django's storages raise for what they cannot do
    """Somebody tried to change a backup through a drill."""


class BackupFiles(Storage):
    """A storage over one backup's files; a name that is in several storages is the first's."""

    def __init__(self, opened: OpenedBackup) -> None:
        """Read the list."""
        self._opened = opened
        self._entries: dict[str, Entry] = {}
        self._all: list[Entry] = []
        opened.each_file(self._add)

    @classmethod
    def of(cls, opened: OpenedBackup) -> BackupFiles | None:
        """Return the storage, or ``None`` where the backup holds no files."""
        return cls(opened) if "files" in opened.manifest.parts else None

    def _add(self, entry: Entry) -> None:
        self._entries.setdefault(entry.path, entry)
        self._all.append(entry)

    def __len__(self) -> int:
        """Count the files."""
        return len(self._all)

    def __bool__(self) -> bool:
        """Be true also without files."""
        return True

    def damaged(self) -> list[Entry]:
        """Read every file; returns those that are not whole."""
        found: list[Entry] = []
        known: dict[str, bool] = {}
        for entry in self._all:
            if entry.blob not in known:
                known[entry.blob] = self._is_whole(entry)
            if not known[entry.blob]:
                found.append(entry)
        return found

    def _is_whole(self, entry: Entry) -> bool:
        try:
            self._opened.file(entry, pipeline.Discard())
        except BackupDamaged:
            return False
        return True

    def _open(self, name: str, mode: str = "rb") -> File:  # type: ignore[type-arg]
        if mode != "rb":
            raise _ReadOnlyError("a backup's files are read-only")
        entry = self._entries.get(name)
        if entry is None:
            raise FileNotFoundError(name)
        out = io.BytesIO()
        self._opened.file(entry, out)
        out.seek(0)
        return File(out, name=name)

    def _save(self, name: str, content: object) -> str:  # noqa: ARG002 - Django's signature
        raise _ReadOnlyError("a backup's files are read-only")

    def delete(self, name: str) -> None:  # noqa: ARG002 - Django's signature
        """Refuse."""
        raise _ReadOnlyError("a backup's files are read-only")

    def exists(self, name: str) -> bool:
        """Return whether the backup holds a file of that name."""
        return name in self._entries

    def size(self, name: str) -> int:
        """Return the size before encryption."""
        return self._entries[name].sealed.raw_size

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """List folders and files."""
        base = f"{path.rstrip('/')}/" if path else ""
        inside = [name.removeprefix(base) for name in self._entries if name.startswith(base)]
        folders = {name.partition("/")[0] for name in inside if "/" in name}
        return sorted(folders), sorted(name for name in inside if "/" not in name)
