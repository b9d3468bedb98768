"""Reading everything, to know that a backup is whole, genuine, and can be opened."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backups import opening, pipeline, tools
from backups.errors import OUT_OF_REACH, BackupDamaged, FilesDamaged, ToolMissing
from backups.models import StoredFile
from backups.models.backup import Content
from backups.processes import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backups.files import Entry
    from backups.models import Backup
    from backups.opening import OpenedBackup
    from backups.targets import Target

MOST_DAMAGED = 100  # files; after so many the target itself is away or lost
PAGE = 500  # rows


@dataclass
class VerificationReport:
    """What a verification has read; that it was returned means that all was right."""

    level: str  # "opened": decrypted and compared · "intact": the encrypted bytes are as written
    parts: int = 0
    files: int = 0
    raw_bytes: int = 0
    notes: list[str] = field(default_factory=list)
    blobs: set[str] = field(default_factory=set, repr=False)  # whose bytes were opened


class DamagedFiles:
    """The files that were found damaged; the search goes on, up to a limit, to find them all."""

    def __init__(self) -> None:
        """Begin with none."""
        self._blobs: list[str] = []
        self._first: BackupDamaged | None = None

    @contextmanager
    def noting(self, blob: str) -> Iterator[None]:
        """Note a damaged file instead of raising; raises once there are too many.

        Where nothing more can be read, damage that was found is reported first.
        """
        try:
            yield
        except OUT_OF_REACH:
            self.require_none()
            raise
        except BackupDamaged as refusal:
            self._first = self._first or refusal
            self._blobs.append(blob)
            if len(self._blobs) >= MOST_DAMAGED:
                self.require_none()

    def require_none(self) -> None:
        """Refuse if there was any."""
        if self._first is not None:
            others = f" {len(self._blobs) - 1} more files are damaged." if self._blobs[1:] else ""
            raise FilesDamaged(self._first.detail + others, self._blobs)


def verify_opened(opened: OpenedBackup) -> VerificationReport:
    """Decrypt, decompress, hash and compare every part and every file."""
    findings = VerificationReport("opened")
    for what in opened.manifest.parts:
        if what == "files":
            _verify_files(opened, findings)
        else:
            _verify_database(opened, what, findings)
    findings.raw_bytes += sum(part.sealed.raw_size for part in opened.manifest.parts.values())
    findings.parts = len(opened.manifest.parts)
    return findings


def _verify_database(opened: OpenedBackup, what: str, findings: VerificationReport) -> None:
    """Read the dump, a dump of PostgreSQL also by ``pg_restore`` where that is installed."""
    described = opened.manifest.databases.get(what)
    if described and described.engine == "postgresql":
        try:
            matching = tools.matching(int(described.major))
        except ToolMissing:
            findings.notes.append("pg_restore is not here, so the archive was not read by it.")
        else:
            argv = [matching.path("pg_restore"), "--file=/dev/null"]
            with Program(argv, environment={"LC_ALL": "C"}, takes_input=True) as program:
                opened.part(what, program)
                program.end_input()
                program.finish()
            return
    opened.part(what, pipeline.Discard())


def _verify_files(opened: OpenedBackup, findings: VerificationReport) -> None:
    damaged = DamagedFiles()

    def look(entry: Entry) -> None:
        findings.files += 1
        if entry.blob not in findings.blobs:
            findings.blobs.add(entry.blob)
            with damaged.noting(entry.blob):
                opened.file(entry, pipeline.Discard())
            findings.raw_bytes += entry.sealed.raw_size

    opened.each_file(look)
    damaged.require_none()
    expected = opened.manifest.files
    if expected is None or findings.files != expected.count:
        raise BackupDamaged("The list of files has not as many lines as the manifest says.")


def verify_intact(backup: Backup, target: Target) -> VerificationReport:
    """Compare the encrypted bytes with the index, where no identity is at hand.

    This finds damage and loss. It does not tell whether anybody can open the backup.
    """
    findings = VerificationReport(
        "intact", notes=["No identity here: the bytes were compared, not opened."]
    )
    name = opening.manifest_name(target, backup.folder)
    _require_hash(target, f"{backup.folder}/{name}", backup.manifest_sha256)
    for part in backup.parts:
        _require_hash(target, f"{backup.folder}/{part['name']}", part["sha256"])
        findings.parts += 1
    if backup.content != Content.DATABASE:
        _verify_stored_files(backup, target, findings)
    return findings


def _verify_stored_files(backup: Backup, target: Target, findings: VerificationReport) -> None:
    """Read every file that the target holds or has lost: one that is whole again is held again."""
    needed = StoredFile.objects.filter(
        first_used_at__lte=backup.snapshot_at, last_used_at__gte=backup.snapshot_at
    ).order_by("pk")
    damaged, last = DamagedFiles(), 0
    # By pages: a cursor that stays open keeps every writer out of a SQLite without a log.
    while page := list(needed.filter(pk__gt=last)[:PAGE]):
        for row in page:
            if target.alias in (*row.targets, *row.lost):
                with damaged.noting(row.name):
                    _require_hash(target, row.name, row.sha256)
                    if target.alias in row.lost:
                        row.hold([target.alias])
                findings.files += 1
        last = page[-1].pk
    damaged.require_none()


def _require_hash(target: Target, name: str, expected: str) -> None:
    with opening.Reading(target, name) as source:
        if pipeline.tally(source).sha256 == expected:
            return
    raise BackupDamaged(f"{name} on {target.alias!r} is not what was written there.")
