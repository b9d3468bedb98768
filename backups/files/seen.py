"""What files looked like when they were last read, so that unchanged ones are not read again."""

from __future__ import annotations

import hashlib
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag

from backups import signing
from backups.conf import settings
from backups.files.walking import look_at
from backups.models import SeenFile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from backups.files.walking import Found, Walk

# A file that changed this shortly before it was read may change again without another time: the
# coarsest clocks of file systems (FAT) tick every two seconds. git calls it racily clean.
TICK_NS = 2_000_000_000


class Content(NamedTuple):
    """What was read of a file, in which encrypted file it is, and whether to read it again."""

    raw_sha256: str
    raw_size: int
    blob: str
    is_due: bool = False


class SeenFiles:
    """The index of what was read. Its rows are sealed with a key that the database does not have.

    They neither show a name or a content's hash, nor can whoever writes to the database alone have
    one file taken for another: a row that does not open for its place is no row.
    """

    def __init__(self, at: datetime) -> None:
        """Begin with the instant of the backup."""
        self._at = at.astimezone(UTC)
        self._today, self._days = self._at.toordinal(), settings.reread_days
        self._cipher = signing.index_cipher()
        self._digest = signing.name_macs()[0].digest

    def _place(self, alias: str, name: str) -> str:
        text = f"{alias}\0{name}".encode(errors="surrogateescape")
        return self._digest(hashlib.sha256(text).digest()).hex()

    def _bound(self, place: str, read_at: datetime) -> list[bytes]:
        return [place.encode(), f"{read_at.timestamp():.6f}".encode()]

    def recall(self, alias: str, batch: Iterable[Found]) -> dict[Found, Content]:
        """Return what is known of the files that look as they did when they were read."""
        places = {self._place(alias, each.name): each for each in batch if each.signature}
        known = {}
        rows = SeenFile.objects.filter(place__in=places)
        for place, sealed, read_at in rows.values_list("place", "sealed", "read_at"):
            found = places[place]
            try:
                opened = self._cipher.decrypt(bytes(sealed), self._bound(place, read_at))
            except InvalidTag:  # the site's secret is another one, or somebody has changed the row
                continue
            signature, raw_sha256, raw_size, blob = opened.decode().split("\t")
            if signature == repr(tuple(found.signature or ())):
                is_due = self._is_due(place, read_at)
                known[found] = Content(raw_sha256, int(raw_size), blob, is_due)
        return known

    def _is_due(self, place: str, read_at: datetime) -> bool:
        """Return whether the file's turn has come since it was read; each day has its share."""
        turn = self._today - (self._today - int(place[:8], 16)) % self._days
        return read_at.toordinal() < turn

    def remember(self, walk: Walk, read: dict[Found, Content], began_ns: int) -> list[Found]:
        """Keep what was read since then; returns the files whose looks can be relied on.

        One that does not look as before, or that changed so shortly before it was read that its
        times may not tell of the next change, is read again next time.
        """
        rows, steady = [], []
        for found, content in read.items():
            before = found.signature
            if before is None or before != look_at(walk.of, found.name):
                continue
            if max(before.modified_ns, before.changed_ns) >= began_ns - TICK_NS:
                continue
            place = self._place(walk.alias, found.name)
            text = f"{tuple(before)!r}\t{content.raw_sha256}\t{content.raw_size}\t{content.blob}"
            sealed = self._cipher.encrypt(text.encode(), self._bound(place, self._at))
            rows.append(SeenFile(place=place, sealed=sealed, read_at=self._at))
            steady.append(found)
        SeenFile.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["place"],
            update_fields=["sealed", "read_at"],
        )
        return steady

    def forget_vanished(self) -> None:
        """Delete the rows of files that are there no more: the others were read again in time."""
        before = self._at - timedelta(days=2 * self._days)
        SeenFile.objects.filter(read_at__lt=before).delete()
