"""What lies in the storages and is not in the backup: counted, and said."""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import dataclass, field

from backups.errors import FileUnreadable
from backups.files.entry import shown

EXCLUDED, LINK, UNREADABLE, MISSING = "excluded", "link", "unreadable", "missing"
LACKING = (UNREADABLE, MISSING)  # what the backup should have held
MOST_NAMED = 1000  # in the manifest; the counts go on
# What is wrong with one file. Anything else (a disk that is away, too many open files) is wrong
# with them all, and a backup without them all is none.
OF_ONE_FILE = {errno.EACCES, errno.EPERM, errno.EIO, errno.ENAMETOOLONG, errno.ELOOP}


@dataclass(slots=True)
class Skipped:
    """Counts by kind; ``named`` are the first thousand, each as kind, storage and path."""

    counts: Counter[str] = field(default_factory=Counter)
    named: list[list[str]] = field(default_factory=list)

    def note(self, kind: str, storage: str, path: str) -> None:
        """Count one in; what the site's own patterns exclude is not named."""
        self.counts[kind] += 1
        if kind != EXCLUDED and len(self.named) < MOST_NAMED:
            self.named.append([kind, storage, shown(path)])

    def note_unreadable(self, storage: str, path: str, failure: OSError) -> None:
        """Count one in that cannot be read; raises where that is not the file's own fault."""
        if failure.errno not in OF_ONE_FILE:
            raise unreadable(storage, path, failure) from failure
        self.note(UNREADABLE, storage, path)

    def require_most(self, storage: str, *, read: int) -> None:
        """Refuse a storage of which more cannot be read than can."""
        lost = [path for kind, of, path in self.named if (kind, of) == (UNREADABLE, storage)]
        if len(lost) > read:
            raise FileUnreadable(
                f"Most of the storage {storage!r} cannot be read, {lost[0][:300] or 'all'} among "
                "it. A backup without it would be none."
            )


def unreadable(storage: str, path: str, failure: OSError) -> FileUnreadable:
    """Return the refusal of a backup that would not be whole."""
    return FileUnreadable(
        f"{shown(path)[:300] or 'The folder'} of the storage {storage!r} cannot be read: "
        f"{failure.strerror or type(failure).__name__}. See to it, and try again."
    )
