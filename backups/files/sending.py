"""Sending what the targets do not hold yet, and the list of files, sealed while it grows."""

from __future__ import annotations

import secrets
import time
from array import array
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Self

from backups import events, pipeline, signing
from backups.files.entry import Entry, shown
from backups.files.holdings import Holdings
from backups.files.seen import Content, SeenFiles
from backups.files.skipped import Skipped
from backups.files.walking import Walk
from backups.layout import FILES
from backups.manifest import FilesState
from backups.models import StoredFile
from backups.models.stored_file import IN_USE
from backups.threads import BackgroundCall, BlockQueue
from garrison.events import emit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from backups.files.walking import Found
    from backups.outlet import Outlet

BATCH = 200  # files
QUEUED_BLOCKS = 4
BLOCK = 64 * 1024


class ListWriter:
    """Seals the list of files in a thread while it grows; it exists only after :meth:`commit`."""

    def __init__(self, outlet: Outlet, name: str) -> None:
        """Start sealing."""
        self._blocks = BlockQueue(QUEUED_BLOCKS)
        self._gathered = bytearray()
        self._sealing = BackgroundCall(
            partial(outlet.seal, self._blocks, name), on_end=self._blocks.abandon
        )

    def add(self, entry: Entry) -> None:
        """Add one line; raises what sealing has failed with."""
        self._gathered += entry.line().encode()
        if len(self._gathered) >= BLOCK:
            self._blocks.write(bytes(self._gathered))
            self._gathered.clear()

    def commit(self) -> pipeline.Sealed:
        """End the list and make it exist."""
        self._blocks.write(bytes(self._gathered))
        self._blocks.end()
        sealed, _holders = self._sealing.result()
        return sealed

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Leave nothing behind after a failure."""
        if kind is not None:
            self._blocks.abandon()
        self._sealing.wait()


class FileBackup:
    """Sends what the targets do not hold yet, and lists everything."""

    def __init__(self, outlet: Outlet, *, at: datetime, step: Callable[[int], None]) -> None:
        """Keep the circumstances; ``step`` gets the number of bytes read and may raise."""
        self._outlet = outlet
        self._at = at
        self._step = step
        self._holdings = Holdings(outlet, step)
        self._seen = SeenFiles(at)
        self._macs = signing.name_macs()
        self._skipped = Skipped()
        self._used = array("Q")
        self._vanished = 0
        self.sent_bytes = 0

    def run(self, aliases: list[str], listing: ListWriter) -> FilesState:
        """Back up every file of the storages; refuses one of which most cannot be read."""
        count = raw_bytes = 0
        for alias in aliases:
            walk, before = Walk(alias, self._skipped), count
            every = walk.files()
            while batch := list(islice(every, BATCH)):
                for entry in self._batch(walk, batch):
                    listing.add(entry)
                    count += 1
                    raw_bytes += entry.sealed.raw_size
            self._skipped.require_most(alias, read=count - before)
        self._seen.forget_vanished()
        self._step(0)  # raises once another run may count on files that this one has not seen
        StoredFile.objects.end_use(self._used, at=self._at)
        skipped = self._skipped
        return FilesState(
            count, raw_bytes, self._vanished, aliases, dict(skipped.counts), skipped.named
        )

    def _batch(self, walk: Walk, batch: list[Found]) -> Iterator[Entry]:
        seen = self._seen.recall(walk.alias, batch)
        blobs = {content.blob for content in seen.values() if not content.is_due}
        rows = {row.name: row for row in self._holdings.held(name__in=blobs)}
        contents = {f: c for f, c in seen.items() if c.blob in rows and not c.is_due}
        contents |= self._read(walk, [f for f in batch if f not in contents], seen, rows)
        for found, content in contents.items():
            row, of = rows[content.blob], found.signature
            sealed = pipeline.Sealed(row.sha256, row.size, content.raw_sha256, content.raw_size)
            metadata = (of.mode, of.modified_ns) if of else ()
            yield Entry(row.name, sealed, walk.alias, found.name, *metadata)
        self._keep([rows[blob] for blob in {content.blob for content in contents.values()}])

    def _read(
        self,
        walk: Walk,
        batch: list[Found],
        seen: dict[Found, Content],
        rows: dict[str, StoredFile],
    ) -> dict[Found, Content]:
        """Read files, and send those whose content no target holds; adds to ``rows``."""
        began_ns, read = time.time_ns(), {}
        hashed = {found: tally for found in batch if (tally := self._hash(walk, found.name))}
        digests = {found: self._digests(tally.sha256) for found, tally in hashed.items()}
        every = set(chain(*digests.values()))
        held = {row.digest: row for row in self._holdings.held(digest__in=every)}
        for found, names in digests.items():
            if known := next((held[name] for name in names if name in held), None):
                row, raw = known, (hashed[found].sha256, hashed[found].size)
                if row.digest != names[0]:  # known by an older key, which will be gone one day
                    StoredFile.objects.filter(pk=row.pk).update(digest=names[0])
            elif sent := self._send(walk, found.name):
                row, raw = sent
                held[row.digest] = row
            else:
                continue
            rows[row.name], read[found] = row, Content(*raw, row.name)
        for found in self._seen.remember(walk, read, began_ns):
            if found in seen and seen[found].raw_sha256 != read[found].raw_sha256:
                what = f"file:{walk.alias}:{shown(found.name)}"
                emit(events.FILE_ALTERED, target=what[:200])
        return read

    def _keep(self, used: list[StoredFile]) -> None:
        """Let no pruning take these files from this backup, in whatever order clocks run."""
        self._used.extend(row.pk for row in used)
        again = [row.pk for row in used if row.last_used_at < IN_USE]
        StoredFile.objects.filter(pk__in=again).update(last_used_at=IN_USE)
        later = [row.pk for row in used if row.first_used_at > self._at]
        StoredFile.objects.filter(pk__in=later).update(first_used_at=self._at)

    @contextmanager
    def _reading(self, walk: Walk, name: str) -> Iterator[None]:
        """Count a file that vanishes or cannot be read, and go on without it."""
        try:
            yield
        except FileNotFoundError:
            self._vanished += 1
        except OSError as failure:  # the targets' failures are kept by their group
            self._skipped.note_unreadable(walk.alias, name, failure)

    def _hash(self, walk: Walk, name: str) -> pipeline.Tally | None:
        """Hash one file; ``None`` where it cannot be read."""
        with self._reading(walk, name), walk.of.open(name, "rb") as file:
            return pipeline.tally(file, self._step)
        return None

    def _send(self, walk: Walk, name: str) -> tuple[StoredFile, tuple[str, int]] | None:
        """Seal one file to every live target; what counts is what was read while sealing."""
        blob = f"{secrets.token_hex(16)}.gz{self._outlet.recipients.suffix}"
        blob = f"{FILES}/{blob[:2]}/{blob}"
        with self._reading(walk, name), walk.of.open(name, "rb") as file:
            sealed, holders = self._outlet.seal(file, blob, on_progress=lambda _size: self._step(0))
            self.sent_bytes += sealed.size
            row = StoredFile.objects.create(
                name=blob,
                digest=self._digests(sealed.raw_sha256)[0],
                sealed_to=self._outlet.recipients.fingerprint,
                sha256=sealed.sha256,
                size=sealed.size,
                targets=holders,
                first_used_at=self._at,
                last_used_at=IN_USE,
            )
            return row, (sealed.raw_sha256, sealed.raw_size)
        return None

    def _digests(self, sha256: str) -> list[str]:
        """Return the names of a content by each key of this site, the present one first."""
        return [mac.digest(bytes.fromhex(sha256)).hex() for mac in self._macs]
