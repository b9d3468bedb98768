"""SQLite: the database file itself, read while nothing can change it.

A moment is caught at which the write-ahead log is wholly checkpointed, and a read transaction is
opened in that moment: from then on no checkpoint may write a page that this reader does not see
already, so the main file stays, byte for byte, the snapshot until the transaction ends, while
others go on writing to the log.

Without a log (Django's default) a reader keeps every commit out, our own lease and progress among
them. There the file is copied first, into a file without a name, and the copy is read. The reasons,
and how it is tested, stand in ADR 0021.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING, ClassVar

from django.db import connections
from django.utils import timezone

from backups.dumpers import sqlite_state
from backups.dumpers.base import Dumper
from backups.errors import BackupBusy, BackupsRefusal, EngineUnsupported, ToolMissing
from backups.processes import Program

if TYPE_CHECKING:
    from backups.manifest import DatabaseState

PATIENCE_SECONDS = 30
LOCK_SECONDS = 2  # for one try; there are many within our patience
PAUSE_SECONDS = 0.05


def path_of(using: str) -> Path:
    """Return the file of a SQLite alias; a database in memory has none and is refused."""
    name = str(connections[using].settings_dict["NAME"])
    if not name or name == ":memory:" or name.startswith("file:"):
        raise EngineUnsupported(
            f"The SQLite database {using!r} is in memory or given as a URI; only one in a file "
            "can be backed up. Set its NAME to a path."
        )
    return Path(name).absolute()


class SQLiteDumper(Dumper):
    """Holds a read transaction at a checkpointed moment, and streams the main file."""

    suffix: ClassVar[str] = "sqlite3"

    def __init__(self, using: str) -> None:
        """Prepare; refuses a database that is not in a file."""
        super().__init__(using)
        self._path = path_of(using)

    def _connect(self, path: Path) -> sqlite3.Connection:
        return self._open.enter_context(
            closing(
                sqlite3.connect(
                    f"{path.as_uri()}?mode=rw",
                    uri=True,
                    timeout=LOCK_SECONDS,
                    isolation_level=None,
                    check_same_thread=False,
                )
            )
        )

    def take(self) -> None:
        """Take the snapshot, or refuse after 30 seconds of other readers in the way."""
        if not self._path.is_file():
            raise EngineUnsupported(f"There is no database file {self._path}.")
        self._copy: IO[bytes] | None = None
        gate, self._reader = self._connect(self._path), self._connect(self._path)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._catch_moment(gate):
            if time.monotonic() > deadline:
                raise BackupBusy(
                    "Others have been reading or writing the SQLite database for so long that its "
                    "log cannot be checkpointed. End the long transaction and try again."
                )
            time.sleep(PAUSE_SECONDS)
        self.expected_bytes = self._path.stat().st_size
        if self._mode != "wal":
            self._read_a_copy()

    def _read_a_copy(self) -> None:
        """Copy the snapshot beside the database, and let the writers go on.

        The copy is as well guarded as the file it lies beside: for its owner only, and from its
        first byte on without a name, so that a killed run leaves nothing.
        """
        self._copy = self._open.enter_context(
            NamedTemporaryFile(  # noqa: SIM115 - closed with the snapshot
                dir=self._path.parent, prefix=".garrison-", delete=False
            )
        )
        copy = Path(self._copy.name)
        live, self._reader = self._reader, self._connect(copy)
        copy.unlink()
        self._reader.execute("PRAGMA journal_mode=OFF")  # a journal would have a name
        try:
            live.backup(self._reader)
        except sqlite3.OperationalError as failure:
            raise BackupsRefusal(
                f"The SQLite database could not be copied: {failure}. Without a write-ahead log "
                f"it needs {self.expected_bytes} free bytes beside it; make room, or set "
                "PRAGMA journal_mode=WAL."
            ) from failure
        live.execute("ROLLBACK")

    def _catch_moment(self, gate: sqlite3.Connection) -> bool:
        """With writers shut out: checkpoint everything, then begin to read."""
        try:
            gate.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:  # others keep it locked; tried again
            return False
        try:
            (self._mode,) = self._reader.execute("PRAGMA journal_mode").fetchone()
            if self._mode == "wal" and not self._is_checkpointed():
                return False
            self._reader.execute("BEGIN")
            self._reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
            self.snapshot_at = timezone.now()
            return True
        finally:
            gate.execute("ROLLBACK")

    def _is_checkpointed(self) -> bool:
        row = self._reader.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        busy, in_log, checkpointed = row
        return bool(busy == 0 and in_log == checkpointed)

    def cancel(self) -> None:
        """Interrupt the count."""
        self._reader.interrupt()

    def stream(self) -> Program | IO[bytes]:
        """Read the copy, or the main file in a process of its own.

        Not in this one: closing a file drops every POSIX lock the process holds on it, and with
        them those of Django's own connection.
        """
        if self._copy is not None:
            return self._copy
        cat = shutil.which("cat")
        if cat is None:
            raise ToolMissing("The program cat is not on PATH; it reads the SQLite file.")
        return Program([cat, os.fspath(self._path)], environment={})

    def describe(self) -> DatabaseState:
        """Count and checksum in the transaction that holds the snapshot."""
        return sqlite_state.describe(self._reader, name=self._path.name)
