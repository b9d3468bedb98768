"""Sending what the targets do not hold yet."""

from __future__ import annotations

import secrets
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote

from backups import pipeline, signing
from backups.errors import FileUnreadable
from backups.files.entry import Entry
from backups.files.holdings import Holdings
from backups.files.sources import names, storage
from backups.layout import FILES
from backups.manifest import FilesState
from backups.models import StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from django.core.files.storage import Storage

    from backups.files.listing import ListWriter
    from backups.outlet import Outlet

BATCH = 200


class FileBackup:
    """Sends what the targets do not hold yet, and lists everything."""

    def __init__(self, outlet: Outlet, *, at: datetime, step: Callable[[int], None]) -> None:
        """Keep the circumstances; ``step`` gets the number of bytes read and may raise."""
        self._outlet = outlet
        self._at = at
        self._step = step
        self._holdings = Holdings(outlet, step)
        self.sent_bytes = 0

    def run(self, aliases: list[str], listing: ListWriter) -> FilesState:
        """Back up every file of the storages."""
        count = raw_bytes = vanished = 0
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
        known = self._holdings.known({digest for _, (digest, _, _) in hashed})
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
        self._keep(used)

    def _keep(self, used: set[int]) -> None:
        """Let no pruning take these files from this backup, in whatever order clocks run."""
        rows = StoredFile.objects.filter(pk__in=used)
        rows.filter(last_used_at__lt=self._at).update(last_used_at=self._at)
        rows.filter(first_used_at__gt=self._at).update(first_used_at=self._at)

    def _hash(self, of: Storage, name: str) -> tuple[str, str, int] | None:
        """Hash one file; ``None`` if it vanished since it was listed."""
        try:
            with of.open(name, "rb") as file:
                found = pipeline.tally(file, self._step)
        except FileNotFoundError:
            return None
        except OSError as failure:
            raise _unreadable(name, failure) from failure
        return signing.keyed_digest(bytes.fromhex(found.sha256)), found.sha256, found.size

    def _send(self, of: Storage, name: str) -> tuple[StoredFile, tuple[str, int]]:
        """Seal one file to every live target; what counts is what was read while sealing."""
        blob = f"{secrets.token_hex(16)}.gz{self._outlet.recipients.suffix}"
        blob = f"{FILES}/{blob[:2]}/{blob}"
        try:
            with of.open(name, "rb") as file:
                sealed, holders = self._outlet.seal(
                    file, blob, on_progress=lambda _size: self._step(0)
                )
        except FileNotFoundError:
            raise
        except OSError as failure:  # the targets' failures are kept by their group
            raise _unreadable(name, failure) from failure
        self.sent_bytes += sealed.size
        row = StoredFile.objects.create(
            name=blob,
            digest=signing.keyed_digest(bytes.fromhex(sealed.raw_sha256)),
            sealed_to=self._outlet.recipients.fingerprint,
            sha256=sealed.sha256,
            size=sealed.size,
            targets=holders,
            first_used_at=self._at,
            last_used_at=self._at,
        )
        return row, (sealed.raw_sha256, sealed.raw_size)


def _unreadable(name: str, failure: OSError) -> FileUnreadable:
    return FileUnreadable(
        f"The file {quote(name, errors='surrogateescape')[:300]} cannot be read: "
        f"{failure.strerror or type(failure).__name__}. Nothing is left out silently: make it "
        "readable, or move it out of the storage."
    )
