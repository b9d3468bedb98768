"""Files: content-addressed, incremental by hash, each encrypted on its own.

A file whose content a target holds already is not sent again; every backup has a complete list of
its files, so each can be restored alone.
"""

from __future__ import annotations

import hashlib
import os
import queue
import secrets
import threading
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from django.core.files.storage import storages
from django.core.files.storage.handler import InvalidStorageError

from backups import pipeline, signing
from backups.errors import BackupDamaged, BackupsRefusal, TargetFailed
from backups.manifest import FilesState
from backups.models import StoredFile
from backups.targets import Fan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from django.core.files.storage import Storage

    from backups.keys import Recipients
    from backups.pipeline import Sealed, Throttle
    from backups.targets import Target

FOLDER = "files"
OURS = ".garrison-"  # what restores leave inside a storage: staged files, and those from before
LIST_NAME = "files.tsv.gz"
BATCH = 200
READ = 1024 * 1024
# Kept as they are in a path; everything else, tabs and line ends first, is percent-encoded.
PLAIN_IN_PATHS = "/ !#$&'()*+,:;=?@[]~"


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
        return "\t".join(map(str, fields)) + "\t" + quote(self.path, safe=PLAIN_IN_PATHS) + "\n"

    @classmethod
    def parse(cls, line: str) -> Entry:
        """Read what :meth:`line` wrote; refuses paths that leave their storage."""
        try:
            blob, sha256, size, raw_sha256, raw_size, storage, path = line.rstrip("\n").split("\t")
            sealed = pipeline.Sealed(sha256, int(size), raw_sha256, int(raw_size))
        except ValueError:
            raise BackupDamaged("A line of the file list has not seven fields.") from None
        path = unquote(path, errors="strict")
        for name in (blob, path):
            if name.startswith("/") or "\0" in name or ".." in name.split("/"):
                raise BackupDamaged("A line of the file list points outside of its storage.")
        return cls(blob, sealed, storage, path)


def storage(alias: str) -> Storage:
    """Give a file storage by its alias."""
    try:
        return storages[alias]
    except InvalidStorageError:
        raise BackupsRefusal(
            f"BACKUPS_FILE_STORAGES names {alias!r}, which is not in STORAGES."
        ) from None


def names(of: Storage, folder: str = "") -> Iterator[str]:
    """Give every file's name; symbolic links are not followed, they may lead anywhere."""
    try:
        folders, files = of.listdir(folder)
    except FileNotFoundError:
        return
    base = f"{folder}/" if folder else ""
    for name in sorted(files):
        if not _is_link(of, base + name):
            yield base + name
    for name in sorted(folders):
        if not _is_link(of, base + name) and not (base == "" and name.startswith(OURS)):
            yield from names(of, base + name)


def _is_link(of: Storage, name: str) -> bool:
    try:
        return os.path.islink(of.path(name))  # noqa: PTH114 - a storage's path is text
    except NotImplementedError:
        return False


class _Lines:
    """What the list is sealed from, in a thread beside the one that adds lines."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(1000)
        self.is_over = threading.Event()

    def add(self, line: bytes | None) -> None:
        is_put = False
        while not is_put and not self.is_over.is_set():
            try:
                self._queue.put(line, timeout=0.2)
                is_put = True
            except queue.Full:
                continue

    def read(self, size: int) -> bytes:
        block = bytearray()
        while len(block) < min(size, 64 * 1024):
            line = self._queue.get()
            if line is None:
                self._queue.put(None)
                break
            block += line
        return bytes(block)


class ListWriter:
    """Seals the list of files while it grows; it exists only after :meth:`commit`."""

    def __init__(self, fan: Fan, recipients: Recipients) -> None:
        """Start sealing."""
        self._fan = fan
        self._recipients = recipients
        self._lines = _Lines()
        self._sealed: Sealed | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._sealed = pipeline.seal(
                source=self._lines, out=self._fan, recipients=self._recipients
            )
        except BaseException as failure:  # noqa: BLE001 - carried to the thread that adds
            self._failure = failure
        finally:
            self._lines.is_over.set()

    def add(self, entry: Entry) -> None:
        """Add one line."""
        self._lines.add(entry.line().encode())

    def commit(self) -> Sealed:
        """End the list and make it exist."""
        self._lines.add(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        self._fan.commit()
        return self._sealed  # type: ignore[return-value]  # sealed, or a failure was raised

    def abort(self) -> None:
        """Leave nothing behind."""
        self._lines.add(None)
        self._thread.join()
        self._fan.abort()


class FileBackup:
    """Sends what the targets do not hold yet, and lists everything."""

    def __init__(  # noqa: PLR0913 - one run's circumstances, by keyword
        self,
        *,
        targets: list[Target],
        failures: dict[str, str],
        recipients: Recipients,
        at: datetime,
        throttle: Throttle,
        step: Callable[[int], None],
    ) -> None:
        """Keep the circumstances; ``step`` is told of every file's bytes and may raise."""
        self._targets = targets
        self._failures = failures
        self._recipients = recipients
        self._at = at
        self._throttle = throttle
        self._step = step
        self.sent_bytes = 0

    def run(self, aliases: Iterable[str], listing: ListWriter) -> FilesState:
        """Back up every file of the storages."""
        count = raw_bytes = vanished = 0
        aliases = list(aliases)
        for alias in aliases:
            of = storage(alias)
            every = names(of)
            while batch := list(islice(every, BATCH)):
                for entry in self._batch(alias, of, batch):
                    listing.add(entry)
                    count += 1
                    raw_bytes += entry.sealed.raw_size
                    vanished -= 1
                vanished += len(batch)
        return FilesState(count, raw_bytes, vanished, aliases)

    def _batch(self, alias: str, of: Storage, batch: list[str]) -> Iterator[Entry]:
        hashed = [(name, found) for name in batch if (found := self._hash(of, name))]
        known = self._known({digest for _, (digest, _, _) in hashed})
        used: set[int] = set()
        for name, (digest, raw_sha256, raw_size) in hashed:
            row, raw = known.get(digest), (raw_sha256, raw_size)
            if row is None:
                try:
                    row, raw = self._send(of, name)
                except FileNotFoundError:  # vanished between hashing and sending
                    continue
                known[row.digest] = row
            used.add(row.pk)
            sealed = pipeline.Sealed(row.sha256, row.size, *raw)
            yield Entry(row.name, sealed, alias, name)
        StoredFile.objects.filter(pk__in=used, last_used_at__lt=self._at).update(
            last_used_at=self._at
        )

    def _hash(self, of: Storage, name: str) -> tuple[str, str, int] | None:
        """Hash one file; ``None`` if it vanished since it was listed."""
        digest, size = hashlib.sha256(), 0
        try:
            with of.open(name, "rb") as file:
                while chunk := file.read(READ):
                    digest.update(chunk)
                    size += len(chunk)
                    self._step(len(chunk))
        except FileNotFoundError:
            return None
        return signing.keyed_digest(digest.digest()), digest.hexdigest(), size

    def _live(self) -> list[Target]:
        return [each for each in self._targets if each.alias not in self._failures]

    def _known(self, digests: set[str]) -> dict[str, StoredFile]:
        """Give the rows whose file every live target holds, after copying where one lacks it."""
        rows = StoredFile.objects.filter(
            digest__in=digests, sealed_to=self._recipients.fingerprint
        ).order_by("pk")
        wanted = {each.alias for each in self._live()}
        found: dict[str, StoredFile] = {}
        for row in rows:
            if wanted <= set(row.targets) or self._copy(row, wanted - set(row.targets)):
                found[row.digest] = row
        return found

    def _copy(self, row: StoredFile, lacking: set[str]) -> bool:
        """Copy the encrypted file from a target that holds it to those that lack it."""
        sources = [each for each in self._live() if each.alias in row.targets]
        takers = [each for each in self._live() if each.alias in lacking]
        if not sources or not takers:
            return False
        fan = Fan(takers, self._failures, row.name)
        try:
            tally = pipeline.Tally()
            with sources[0].open(row.name) as file:
                while chunk := file.read(READ):
                    tally.add(chunk)
                    fan.write(chunk)
                    self._step(0)
            if (tally.sha256, tally.size) != (row.sha256, row.size):
                fan.abort()
                return False
            row.targets = [*row.targets, *fan.commit()]
        except (OSError, TargetFailed):
            fan.abort()
            return False
        row.save(update_fields=["targets"])
        return True

    def _send(self, of: Storage, name: str) -> tuple[StoredFile, tuple[str, int]]:
        """Seal one file to every live target; what counts is what was read while sealing."""
        blob = f"{secrets.token_hex(16)}.gz{self._recipients.suffix}"
        blob = f"{FOLDER}/{blob[:2]}/{blob}"
        fan = Fan(self._live(), self._failures, blob)
        try:
            with of.open(name, "rb") as file:
                sealed = pipeline.seal(
                    source=file,
                    out=fan,
                    recipients=self._recipients,
                    throttle=self._throttle,
                    on_progress=lambda _size: self._step(0),
                )
            holders = fan.commit()
        except BaseException:
            fan.abort()
            raise
        self.sent_bytes += sealed.size
        row = StoredFile.objects.create(
            name=blob,
            digest=signing.keyed_digest(bytes.fromhex(sealed.raw_sha256)),
            sealed_to=self._recipients.fingerprint,
            sha256=sealed.sha256,
            size=sealed.size,
            targets=holders,
            first_used_at=self._at,
            last_used_at=self._at,
        )
        return row, (sealed.raw_sha256, sealed.raw_size)
