"""Making one backup: what happens inside a claimed run."""

from __future__ import annotations

import platform
import threading
from dataclasses import dataclass, field
from datetime import UTC
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import django
from django.conf import settings as django_settings
from django.db import DatabaseError, InterfaceError, connection

from backups import files, keys, manifest, opening, pipeline, signing
from backups.conf import settings
from backups.dumpers import dumper
from backups.errors import BackupNotFound, LeaseLost, TargetFailed
from backups.models import Backup, Copy, State
from backups.models.backup import Content
from backups.models.copy import CopyState
from backups.processes import be_nice_here
from backups.targets import Fan, Target, targets

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from types import TracebackType

    from backups.dumpers import Dumper
    from backups.leases import Held
    from backups.manifest import DatabaseState, Manifest, Part

T = TypeVar("T")
FOLDER_TIME = "%Y%m%dT%H%M%S"


class Beside(Generic[T]):
    """A function that runs in a thread beside a block, and is cancelled when the block fails."""

    def __init__(self, function: Callable[[], T], cancel: Callable[[], None]) -> None:
        """Start it."""
        self._function = function
        self._cancel = cancel
        self._result: T | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        be_nice_here()
        try:
            self._result = self._function()
        except BaseException as failure:  # noqa: BLE001 - carried to the thread that asks
            self._failure = failure

    def result(self, while_waiting: Callable[[], None]) -> T:
        """Wait for the result, and raise what it raised; ``while_waiting`` may raise, too."""
        while self._thread.is_alive():
            self._thread.join(1)
            while_waiting()
        if self._failure is not None:
            raise self._failure
        return self._result  # type: ignore[return-value]  # there is a result, or a failure

    def __enter__(self) -> Beside[T]:
        """Enter the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait; after a failure, not for long."""
        if failure is not None:
            self._cancel()
        self._thread.join()


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
        self.held.on_beat = self._beat
        self._done, self._expected, self._stage = 0, 0, ""
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
        self._commit(self._manifest(database, file_state))

    # -- the parts ---------------------------------------------------------------------------------
    def _database(self) -> DatabaseState:
        self._begin("database")
        with dumper(settings.database, timeout_seconds=settings.timeout_seconds) as dump:
            self._expected = dump.expected_bytes
            self._remember_snapshot(dump.snapshot_at)
            with Beside(dump.describe, dump.cancel) as describing:
                self._dump(dump)
                self._begin("checksums")
                return describing.result(self.held.require)

    def _dump(self, dump: Dumper) -> None:
        name = f"{dump.part}.gz{self.recipients.suffix}"
        fan = Fan(self.targets, self.failures, f"{self.backup.folder}/{name}")
        try:
            with dump.stream() as program:
                sealed = pipeline.seal(
                    source=program,
                    out=fan,
                    recipients=self.recipients,
                    throttle=self.throttle,
                    on_progress=self._step_to,
                )
            self.held.require_now()
            fan.commit()
        except BaseException:
            fan.abort()
            raise
        self.parts["database"] = manifest.Part(name, sealed)
        self.sent += sealed.size

    def _files(self) -> manifest.FilesState:
        self._begin("files")
        if self.backup.snapshot_at is None:
            self._remember_snapshot(self.clock())
        name = files.LIST_NAME + self.recipients.suffix
        fan = Fan(self.targets, self.failures, f"{self.backup.folder}/{name}")
        listing = files.ListWriter(fan, self.recipients)
        work = files.FileBackup(
            targets=self.targets,
            failures=self.failures,
            recipients=self.recipients,
            at=self.backup.snapshot_at,  # type: ignore[arg-type]  # remembered just above
            throttle=self.throttle,
            step=self._step_by,
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

    # -- progress ----------------------------------------------------------------------------------
    def _begin(self, stage: str) -> None:
        self.held.require()
        self._stage, self._done = stage, 0
        self._change(stage=stage)
        self.on_progress(stage, 0, self._expected)

    def _step_to(self, done: int) -> None:
        self.held.require()
        self._done = done
        self.on_progress(self._stage, done, self._expected)

    def _step_by(self, size: int) -> None:
        self._step_to(self._done + size)

    def _beat(self) -> None:
        self._change(
            heartbeat_at=self.clock(), bytes_done=self._done, bytes_expected=self._expected
        )

    def _change(self, **fields: Any) -> None:
        owner = self.held.owner
        if not Backup.objects.change(self.backup.pk, owner=owner, **fields):
            raise LeaseLost("The backup's row was taken over by another run.")

    def _remember_snapshot(self, at: datetime) -> None:
        self.backup.snapshot_at = at
        self._change(snapshot_at=at)

    # -- the end -----------------------------------------------------------------------------------
    def _manifest(
        self, database: DatabaseState | None, file_state: manifest.FilesState | None
    ) -> Manifest:
        return manifest.Manifest(
            backup=str(self.backup.pk),
            folder=self.backup.folder,
            kind=self.backup.kind,
            snapshot_at=self.backup.snapshot_at.isoformat() if self.backup.snapshot_at else "",
            site=str(getattr(django_settings, "SITE_NAME", "")),
            software=_software(),
            recipients=list(self.recipients.texts),
            signer=signing.signer(),
            parts=self.parts,
            database=database,
            files=file_state,
        )

    def _commit(self, described: Manifest) -> None:
        """Write the manifest, which makes the backup whole, and turn the row good."""
        self._begin("manifest")
        sealed = manifest.write(described, self.recipients)
        name = manifest.file_name(self.recipients)
        fan = Fan(self.targets, self.failures, f"{self.backup.folder}/{name}")
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
        raw = sum(part.sealed.raw_size for part in self.parts.values())
        raw += described.files.raw_bytes if described.files else 0
        for each in self.targets:
            good = each.alias in holders
            Copy.objects.filter(backup=self.backup, target=each.alias).update(
                state=CopyState.GOOD if good else CopyState.FAILED,
                size_bytes=size if good else 0,
                failure=self.failures.get(each.alias, ""),
            )
            if not good:
                self._delete_folder(each)
        self._change(
            state=State.GOOD,
            stage="",
            ended_at=self.clock(),
            engine=f"{described.database.engine} {described.database.version}"
            if described.database
            else "",
            size_bytes=self.sent + len(sealed),
            raw_bytes=raw,
            rows=described.database.rows if described.database else 0,
            files=described.files.count if described.files else 0,
            parts=[
                {
                    "what": what,
                    "name": part.name,
                    "sha256": part.sealed.sha256,
                    "size": part.sealed.size,
                }
                for what, part in self.parts.items()
            ],
            recipients=described.recipients,
            signer=described.signer,
            manifest_sha256=manifest.sha256(sealed),
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


def folder_of(backup: Backup, *, at: datetime) -> str:
    """Name the folder of a backup: sorts by time, to the millisecond, and is unique."""
    utc = at.astimezone(UTC)
    return f"{utc:{FOLDER_TIME}}{utc.microsecond // 1000:03}Z-{backup.pk.hex[:12]}"


def sweep() -> None:
    """Delete what dead runs have left on the targets; only for the holder of the lease.

    A folder with a manifest stays: it is written last, so the backup is whole, whatever the index
    says. An index that came out of that very backup says "running", until a restore has rebuilt it;
    a restore that was killed in between must not cost the backup it came from.
    """
    dead = Backup.objects.filter(state=State.FAILED).exclude(folder="")
    for each in targets():
        try:
            each.sweep_partials()
            for backup in dead.filter(
                copies__target=each.alias, copies__state__in=(CopyState.WRITING, CopyState.FAILED)
            ):
                if _is_whole(each, backup.folder):
                    continue
                each.delete_folder(backup.folder)
                Copy.objects.filter(backup=backup, target=each.alias).update(state=CopyState.PRUNED)
        except Exception as failure:
            if isinstance(failure, TargetFailed | DatabaseError):
                raise
            continue


def _is_whole(target: Target, folder: str) -> bool:
    try:
        opening.manifest_name(target, folder)
    except BackupNotFound:
        return False
    return True


def _software() -> dict[str, str]:
    try:
        own = version("django-garrison")
    except PackageNotFoundError:
        own = "source"
    return {"garrison": own, "django": django.get_version(), "python": platform.python_version()}
