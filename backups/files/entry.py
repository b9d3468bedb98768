"""One line of a backup's list of files."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from backups.errors import BackupDamaged
from backups.pipeline import Sealed

LIST_NAME = "files.tsv.gz"
# Kept as they are in a path; everything else, tabs and line ends first, is percent-encoded.
PLAIN_IN_PATHS = "/ !#$&'()*+,:;=?@[]~"
LONGEST_LINE = 32 * 1024  # bytes; Linux ends a path at 4,096, and each may be percent-encoded


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list: where the encrypted file is, what it is, and where it belongs."""

    blob: str
    sealed: Sealed
    storage: str
    path: str

    def line(self) -> str:
        """Write it: seven fields between tabs, the path last."""
        s = self.sealed
        fields = (self.blob, s.sha256, s.size, s.raw_sha256, s.raw_size, self.storage)
        return "\t".join(map(str, fields)) + "\t" + self.shown_path + "\n"

    @property
    def shown_path(self) -> str:
        """Return the path on one line of plain characters, whatever bytes it is made of."""
        return quote(self.path, safe=PLAIN_IN_PATHS, errors="surrogateescape")

    @classmethod
    def parse(cls, line: str) -> Entry:
        """Read what :meth:`line` wrote; refuses paths that leave their storage."""
        try:
            blob, sha256, size, raw_sha256, raw_size, storage, path = line.rstrip("\n").split("\t")
            sealed = Sealed(sha256, int(size), raw_sha256, int(raw_size))
        except ValueError:
            raise BackupDamaged("A line of the file list has not seven fields.") from None
        path = unquote(path, errors="surrogateescape")
        for name in (blob, path):
            if name.startswith("/") or "\0" in name or ".." in name.split("/"):
                raise BackupDamaged("A line of the file list points outside of its storage.")
        return cls(blob, sealed, storage, path)
