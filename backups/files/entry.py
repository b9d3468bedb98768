"""One line of a backup's list of files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import quote, unquote

from backups.errors import BackupDamaged
from backups.pipeline import Sealed

LIST_NAME = "files.tsv.gz"
# Kept as they are in a path; everything else, tabs and line ends first, is percent-encoded.
PLAIN_IN_PATHS = "/ !#$&'()*+,:;=?@[]~"
LONGEST_LINE = 32 * 1024  # bytes; Linux ends a path at 4,096, and each may be percent-encoded
UNKNOWN = "-"  # no field is empty: a shell that reads the list takes two tabs for one
_MODE = re.compile(r"[0-7]{3}\Z")
_MOMENT = re.compile(r"-?\d{1,10}\.\d{9}\Z")  # until 2286


def shown(path: str) -> str:
    """Return a path on one line of plain characters, whatever bytes it is made of."""
    return quote(path, safe=PLAIN_IN_PATHS, errors="surrogateescape")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list: where the encrypted file is, what it is, and where it belongs.

    ``mode`` (the permission bits) and ``modified_ns`` (since 1970) are unknown where a storage has
    none, and in lists of version 1, whose lines end with the path.
    """

    blob: str
    sealed: Sealed
    storage: str
    path: str
    mode: int | None = None
    modified_ns: int | None = None

    def line(self) -> str:
        """Write it: nine fields between tabs."""
        s = self.sealed
        fields = (self.blob, s.sha256, s.size, s.raw_sha256, s.raw_size, self.storage)
        mode = UNKNOWN if self.mode is None else f"{self.mode:03o}"
        return "\t".join((*map(str, fields), self.shown_path, mode, self._moment())) + "\n"

    def _moment(self) -> str:
        """Write the time in seconds as ``touch --date=@…`` reads it."""
        ns = self.modified_ns
        text = UNKNOWN if ns is None else f"{Decimal(ns).scaleb(-9):.9f}"
        return text if _MOMENT.match(text) else UNKNOWN

    @property
    def shown_path(self) -> str:
        """Return the path as the list has it."""
        return shown(self.path)

    @classmethod
    def parse(cls, line: str) -> Entry:
        """Read what :meth:`line` wrote; refuses paths that leave their storage."""
        fields = line.rstrip("\n").split("\t")
        if len(fields) == 7:
            fields += [UNKNOWN, UNKNOWN]
        try:
            blob, sha256, size, raw_sha256, raw_size, storage, path, mode, moment = fields
            sealed = Sealed(sha256, int(size), raw_sha256, int(raw_size))
        except ValueError:
            raise BackupDamaged("A line of the file list has not its nine fields.") from None
        path = unquote(path, errors="surrogateescape")
        for name in (blob, path):
            if name.startswith("/") or "\0" in name or ".." in name.split("/"):
                raise BackupDamaged("A line of the file list points outside of its storage.")
        return cls(blob, sealed, storage, path, *_metadata(mode, moment))


def _metadata(mode: str, moment: str) -> tuple[int | None, int | None]:
    known = (mode == UNKNOWN or _MODE.match(mode)) and (moment == UNKNOWN or _MOMENT.match(moment))
    if not known:
        raise BackupDamaged("A line of the file list has a malformed mode or time.")
    return (
        None if mode == UNKNOWN else int(mode, 8),
        None if moment == UNKNOWN else int(Decimal(moment).scaleb(9)),
    )
