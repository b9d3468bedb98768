"""The stages of one run: the database, the files, and the manifest that makes them a backup."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, connection

from backups import files, keys, manifest, pipeline
from backups.conf import settings
from backups.creation import recording
from backups.creation.beside import Beside
from backups.creation.progress import Progress
from backups.dumpers import dumper
from backups.models import Backup, Copy
from backups.models.backup import Content
from backups.models.copy import CopyState
from backups.targets import Fan, Target, targets

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from backups.dumpers import Dumper
    from backups.leases import Held
    from backups.manifest import DatabaseState, FilesState, Manifest, Part


@dataclass
class Creation:
    """One run: its row, its lease, and what has been made so far."""

    backup: Backup
    held: Held
    clock: Callable[[], datetime]
    on_progress: Callable[[str, int, int], None]
    failures: dict[str, str] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)
    sent: int = 0

    def run(self) -> None:
        """Make the backup; when this returns, its row is good."""
        self.recipients = keys.recipients()
        self.targets = targets()
        self.throttle = pipeline.Throttle(settings.bytes_per_second)
        self.progress = Progress(self.backup, self.held, self.clock, self.on_progress)
        self.held.on_beat = self.progress.beat
        for each in self.targets:
            Copy.objects.update_or_create(
                backup=self.backup,
                target=each.alias,
                defaults={"state": CopyState.WRITING, "failure": "", "size_bytes": 0},
            )
        try:
            self._write()
        except BaseException:
            self._clear_away()
            raise

    def _write(self) -> None:
        database = self._database() if self.backup.content != Content.FILES else None
        file_state = self._files() if self.backup.content != Content.DATABASE else None
        self._commit(
            recording.describe(
                self.backup, self.recipients, self.parts, database=database, files=file_state
            )
        )

    def _fan(self, name: str) -> Fan:
        return Fan(self.targets, self.failures, f"{self.backup.folder}/{name}")

    # -- the database ------------------------------------------------------------------------------
    def _database(self) -> DatabaseState:
        self.progress.begin("database")
        with dumper(settings.database, timeout_seconds=settings.timeout_seconds) as dump:
            self.progress.expected = dump.expected_bytes
            self.progress.remember_snapshot(dump.snapshot_at)
            self._dump(dump)
            self.progress.begin("checksums")
            # After the dump and not beside it: two servers' processes at once, whose priority we
            # cannot lower, would slow down whoever signs in meanwhile.
            with Beside(dump.describe, dump.cancel) as describing:
                return describing.result(self.held.require)

    def _dump(self, dump: Dumper) -> None:
        name = f"{dump.part}.gz{self.recipients.suffix}"
        fan = self._fan(name)
        try:
            with dump.stream() as program:
                sealed = pipeline.seal(
                    source=program,
                    out=fan,
                    recipients=self.recipients,
                    throttle=self.throttle,
                    on_progress=self.progress.step_to,
                )
            self.held.require_now()
            fan.commit()
        except BaseException:
            fan.abort()
            raise
        self.parts["database"] = manifest.Part(name, sealed)
        self.sent += sealed.size

    # -- the files ---------------------------------------------------------------------------------
    def _files(self) -> FilesState:
        self.progress.begin("files")
        at = self.backup.snapshot_at or self.clock()
        self.progress.remember_snapshot(at)
        name = files.LIST_NAME + self.recipients.suffix
        listing = files.ListWriter(self._fan(name), self.recipients, self.throttle)
        work = files.FileBackup(
            targets=self.targets,
            failures=self.failures,
            recipients=self.recipients,
            at=at,
            throttle=self.throttle,
            step=self.progress.step_by,
        )
        try:
            state = work.run(settings.file_storages, listing)
            self.held.require_now()
            sealed = listing.commit()
        except BaseException:
            listing.abort()
            raise
        self.parts["files"] = manifest.Part(name, sealed)
        self.sent += sealed.size + work.sent_bytes
        return state

    # -- the end -----------------------------------------------------------------------------------
    def _commit(self, described: Manifest) -> None:
        """Write the manifest, which makes the backup whole, and turn the row good."""
        self.progress.begin("manifest")
        sealed = manifest.write(described, self.recipients)
        fan = self._fan(manifest.file_name(self.recipients))
        try:
            fan.write(sealed)
            self.held.require_now()
            holders = fan.commit()
        except BaseException:
            fan.abort()
            raise
        if connection.in_atomic_block is False:
            connection.close_if_unusable_or_obsolete()  # it may have idled for hours
        self._record(described, sealed, holders)

    def _record(self, described: Manifest, sealed: bytes, holders: list[str]) -> None:
        size = sum(part.sealed.size for part in self.parts.values()) + len(sealed)
        for each in self.targets:
            failure = None if each.alias in holders else self.failures.get(each.alias, "")
            recording.record_copy(self.backup, each.alias, size=size, failure=failure)
            if failure is not None:
                self._delete_folder(each)
        self.progress.change(
            ended_at=self.clock(),
            size_bytes=self.sent + len(sealed),
            **recording.row_of(described, manifest_sha256=manifest.sha256(sealed)),
        )

    def _clear_away(self) -> None:
        """Delete this run's own folder everywhere; files stay, whole ones can be used again."""
        for each in self.targets:
            self._delete_folder(each)
        try:
            Copy.objects.filter(backup=self.backup, state=CopyState.WRITING).update(
                state=CopyState.FAILED
            )
        except (DatabaseError, InterfaceError):  # the database is what has gone
            return

    def _delete_folder(self, each: Target) -> None:
        try:
            each.delete_folder(self.backup.folder)
        except Exception as failure:  # noqa: BLE001 - storages raise what they like
            self.failures.setdefault(each.alias, f"{type(failure).__name__}: {failure}"[:500])
