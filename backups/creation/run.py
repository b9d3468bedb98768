"""The stages of one run: the database, the files, and the manifest that makes them a backup."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, InterfaceError, close_old_connections
from django.utils import timezone

from backups import events, files, keys, manifest, pipeline
from backups.conf import settings
from backups.creation import recording
from backups.creation.progress import Progress
from backups.databases import sources
from backups.dumpers import dumper
from backups.errors import ProgramFailed
from backups.files.skipped import LACKING, MISSING
from backups.models import Backup, Copy
from backups.models.backup import Content, CopyState
from backups.outlet import Outlet
from backups.processes import lower_thread_priority
from backups.targets import Target, TargetGroup, targets
from backups.threads import BackgroundCall
from garrison.errors import Refusal
from garrison.events import emit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backups.dumpers import Dumper
    from backups.leases import HeldLease
    from backups.manifest import DatabaseState, FilesState, Manifest, Part


@contextmanager
def _snapshot(alias: str) -> Iterator[Dumper]:
    """Hold a snapshot for the block; a database that cannot be reached is named."""
    with ExitStack() as stack:
        try:
            dump = stack.enter_context(dumper(alias))
        except Refusal:
            raise
        except Exception as failure:
            raise ProgramFailed(
                f"The database {alias!r} cannot be read: {type(failure).__name__}. See that its "
                "server runs and that DATABASES is right, and try again."
            ) from failure
        yield dump


@dataclass
class Creation:
    """One run: its row, its lease, and what has been made so far."""

    backup: Backup
    held: HeldLease
    on_progress: Callable[[str, int, int], None]
    group: TargetGroup = field(default_factory=lambda: TargetGroup([]))
    parts: dict[str, Part] = field(default_factory=dict)
    sent: int = 0

    def run(self) -> None:
        """Make the backup; when this returns, its row is good."""
        recipients = keys.recipients()
        self.group.targets = targets()
        self.outlet = Outlet(self.group, recipients, pipeline.Throttle(settings.bytes_per_second))
        self.progress = Progress(self.backup, self.held, self.on_progress)
        self.held.on_beat = self.progress.beat
        for each in self.group.targets:
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
        databases = self._databases() if self.backup.content != Content.FILES else {}
        file_state = self._files() if self.backup.content != Content.DATABASE else None
        self._commit(
            recording.describe(
                self.backup,
                self.outlet.recipients,
                self.parts,
                databases=databases,
                files=file_state,
            )
        )

    def _name(self, name: str) -> str:
        return f"{self.backup.folder}/{name}"

    # -- the databases -----------------------------------------------------------------------------
    def _databases(self) -> dict[str, DatabaseState]:
        """Dump each; all snapshots are taken first, so that seconds lie between them at most."""
        self.progress.begin("database")
        with ExitStack() as stack:
            aliases = sources()
            dumps = {what: stack.enter_context(_snapshot(alias)) for what, alias in aliases.items()}
            self.progress.remember_snapshot(min(dump.snapshot_at for dump in dumps.values()))
            return {
                what: replace(self._database(what, dump), alias=aliases[what])
                for what, dump in dumps.items()
            }

    def _database(self, what: str, dump: Dumper) -> DatabaseState:
        self.progress.begin("database")
        self.progress.expected = dump.expected_bytes
        self._dump(what, dump)
        self.progress.begin("checksums")
        # After the dump and not beside it: two servers' processes at once, whose priority we
        # cannot lower, would slow down whoever signs in meanwhile.
        return self._describe(dump)

    def _dump(self, what: str, dump: Dumper) -> None:
        name = f"{what}.{dump.suffix}.gz{self.outlet.recipients.suffix}"
        with dump.stream() as program:
            sealed, _holders = self.outlet.seal(
                program,
                self._name(name),
                on_progress=self.progress.step_to,
                before_commit=self.held.require_now,
            )
        self.parts[what] = manifest.Part(name, sealed)
        self.sent += sealed.size

    def _describe(self, dump: Dumper) -> DatabaseState:
        """Describe in a thread, and stop it once the lease is lost."""

        def describe() -> DatabaseState:
            lower_thread_priority()
            return dump.describe()

        describing = BackgroundCall(describe)
        try:
            return describing.result(self.held.require)
        except BaseException:
            dump.cancel()
            raise
        finally:
            describing.wait()

    # -- the files ---------------------------------------------------------------------------------
    def _files(self) -> FilesState:
        self.progress.begin("files")
        at = self.backup.snapshot_at or timezone.now()
        self.progress.remember_snapshot(at)
        name = files.LIST_NAME + self.outlet.recipients.suffix
        work = files.FileBackup(self.outlet, at=at, step=self.progress.step_by)
        with files.ListWriter(self.outlet, self._name(name)) as listing:
            state = work.run(files.aliases(), listing)
            self.held.require_now()
            sealed = listing.commit()
        self.parts["files"] = manifest.Part(name, sealed)
        self.sent += sealed.size + work.sent_bytes
        before = Backup.objects.good().exclude(content=Content.DATABASE).order_by("-snapshot_at")
        if not state.count and (last := before.first()) and last.files:
            state.skipped[MISSING] = last.files  # a folder that is not mounted looks empty
        return state

    # -- the end -----------------------------------------------------------------------------------
    def _commit(self, described: Manifest) -> None:
        """Write the manifest, which makes the backup whole, and turn the row good."""
        self.progress.begin("manifest")
        sealed = manifest.write(described, self.outlet.recipients)
        name = manifest.NAME + self.outlet.recipients.suffix
        size = self.sent + len(sealed)
        row = recording.row_of(described, manifest_sha256=manifest.sha256(sealed))
        # Before the manifest: a run that is killed behind it is then known to be whole.
        still = {"state": self.backup.state, "stage": self.progress.stage, "size_bytes": size}
        self.progress.change(**row | still)
        with self.group.writer(self._name(name)) as out:
            out.write(sealed)
            self.held.require_now()
            out.commit()
        close_old_connections()  # ours may have idled for hours
        self._record(row, sealed, out.holders)
        if described.files:
            self._report_lacking(described.files)

    def _report_lacking(self, state: FilesState) -> None:
        if count := sum(state.skipped.get(kind, 0) for kind in LACKING):
            named = [each for each in state.skipped_files if each[0] in LACKING]
            data = {"files": count, "first": named[:5]}
            emit(events.FILES_UNREADABLE, target=f"backup:{self.backup.pk}", data=data)

    def _record(self, row: dict[str, Any], sealed: bytes, holders: list[str]) -> None:
        size = sum(part.sealed.size for part in self.parts.values()) + len(sealed)
        for each in self.group.targets:
            copies = Copy.objects.filter(backup=self.backup, target=each.alias)
            if each.alias in holders:
                copies.update(state=CopyState.GOOD, size_bytes=size, failure="")
            else:
                why = self.group.failures.get(each.alias, "")
                copies.update(state=CopyState.FAILED, size_bytes=0, failure=why)
                self._delete_folder(each)
        self.progress.change(ended_at=timezone.now(), **row)

    def _clear_away(self) -> None:
        """Delete this run's own folder everywhere; files stay, the next attempt can use them."""
        with suppress(DatabaseError, InterfaceError):  # the database may be what has gone
            if Backup.objects.good().filter(pk=self.backup.pk).exists():
                return  # whoever took over has found it whole
        for each in self.group.targets:
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
            self.group.fail(each.alias, failure)
