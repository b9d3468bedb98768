"""Sending what the targets do not hold yet."""

from __future__ import annotations

import hashlib
import secrets
from itertools import islice
from typing import TYPE_CHECKING

from backups import pipeline, signing
from backups.errors import TargetFailed
from backups.files.entry import Entry
from backups.files.sources import names, storage
from backups.manifest import FilesState
from backups.models import StoredFile
from backups.targets import Fan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from django.core.files.storage import Storage

    from backups.files.listing import ListWriter
    from backups.keys import Recipients
    from backups.pipeline import Throttle
    from backups.targets import Target

FOLDER = "files"
BATCH = 200
READ = 1024 * 1024


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
