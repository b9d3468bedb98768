"""PostgreSQL: ``pg_dump`` and our own counting, on one exported snapshot."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, ClassVar

import psycopg

from backups import tools
from backups.dumpers import postgresql_state
from backups.dumpers.base import Dumper
from backups.dumpers.connection import connect, environment
from backups.errors import ProgramFailed
from backups.processes import Program

if TYPE_CHECKING:
    from backups.manifest import DatabaseState

LOCK_WAIT = "60s"  # a migration that holds a table longer makes the run fail, not hang


class PostgreSQLDumper(Dumper):
    """Exports a snapshot from a REPEATABLE READ READ ONLY transaction, and holds it open."""

    suffix: ClassVar[str] = "dump"

    def take(self) -> None:
        """Find the matching programs, then take the snapshot."""
        self._session = self._open.enter_context(connect(self._using))
        self._tools = tools.matching(self._session.info.server_version // 10_000)
        postgresql_state.begin(self._session)
        row = self._session.execute(
            "SELECT pg_export_snapshot(), transaction_timestamp(),"
            " pg_database_size(current_database())"
        ).fetchone()
        if row is None:
            raise ProgramFailed("The server gave no snapshot.")
        self._snapshot: str = row[0]
        self.snapshot_at, self.expected_bytes = row[1], row[2]
        self._counters = postgresql_state.sequences(self._session)

    def cancel(self) -> None:
        """Have the server end the count that runs in our session."""
        with contextlib.suppress(psycopg.Error):  # the server may be what has gone
            self._session.cancel()

    def stream(self) -> Program:
        """Start ``pg_dump`` in its custom format, uncompressed."""
        argv = [
            self._tools.path("pg_dump"),
            "--format=custom",
            "--compress=0",
            "--no-password",
            f"--lock-wait-timeout={LOCK_WAIT}",
            f"--snapshot={self._snapshot}",
        ]
        return Program(argv, environment=environment(self._using))

    def describe(self) -> DatabaseState:
        """Count and checksum in the session that has exported the snapshot."""
        return postgresql_state.describe(
            self._session, counters=self._counters, tool=self._tools.version
        )
