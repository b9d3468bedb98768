"""Gives each event its place in the chain: in batches, one sealer at a time, nothing left out.

A batch is one transaction under the row lock of ``SealedUntil``. A sealer that is killed leaves
nothing behind, because its batch rolls back; one that finds another at work leaves it the events.
Two rules of the database hold whatever a sealer believes: one seal for an event, one event for a
number.
"""

from __future__ import annotations

import hmac
import time
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Q

from audit.attestation import is_attested
from audit.events import KEY_ADOPTED
from audit.keys import instant_of, least_key
from audit.models import Checkpoint, EventSeal, SealedUntil
from audit.sealing import horizon, reporting, rows
from audit.sealing.encoding import (
    ATTESTATION,
    FIELDS,
    GENESIS,
    VERSION,
    ChainPosition,
    instant,
    message,
)
from audit.sealing.keyring import keyring
from audit.sealing.reporting import Unattested
from garrison import events

if TYPE_CHECKING:
    from datetime import datetime

    from audit.sealing.keyring import SealKey

BATCH = 2_000  # events in one transaction
MOST_REPORTED = 20  # rows without a key of an event, by one way along the events
NO_KEY = uuid.UUID(int=0)
FROZEN_SECONDS = 30  # then PostgreSQL ends the transaction of a sealer that was stopped in it

STREAM = FIELDS.index("stream")
COLUMNS = ("event_id", "stream", "seq", "version", "key_id", "prev", "mac", "sealed_at")
_COPY = f"COPY audit_eventseal ({', '.join(COLUMNS)}) FROM STDIN"
_UNSEALED = """
SELECT {columns} FROM audit_securityevent e
WHERE e.id > %s AND {has_key} AND NOT EXISTS (
    SELECT 1 FROM audit_eventseal s WHERE s.event_id = e.id AND s.event_id > %s
) ORDER BY e.id LIMIT %s
"""


@dataclass(slots=True)
class SealingPass:
    """One way along the events, from where nothing can appear any more to the newest."""

    now: datetime
    after: uuid.UUID
    settles: datetime | None = None  # up to when all is settled once it is over
    sealed: int = 0
    is_over: bool = False
    unattested: dict[str, Unattested] = field(default_factory=dict)  # by stream
    without_key: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def clock(self) -> datetime:
        """Return the present instant, counted on from the one that was passed in."""
        return self.now + timedelta(seconds=time.monotonic() - self.began)


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last link of a stream."""

    seq: int
    mac: bytes
    key_id: str


def catch_up(*, now: datetime, since: datetime | None = None, batch: int = BATCH) -> int:
    """Seal everything that is visible; give how many.

    ``since`` looks further back than where nothing should appear any more. Raises
    :class:`~audit.errors.AuditKeysUnusable` where there is no key to seal with.
    """
    sealing = SealingPass(now, NO_KEY)
    is_first = True
    while not sealing.is_over:
        with transaction.atomic():
            if not _begin(sealing, since, is_first=is_first):
                break
            _seal_next(sealing, batch)
        is_first = False
    for stream, found in sealing.unattested.items():
        reporting.report_unattested(stream, found)
    for key in sealing.without_key:
        reporting.report_without_key(key)
    return sealing.sealed


def keep_up(*, now: datetime) -> int:
    """Seal what is new; where there is nothing, nothing is locked and nothing written."""
    settled_at = SealedUntil.objects.values_list("settled_at", flat=True).first()
    at = horizon.begins_at(settled_at, now)
    is_stale = at is None or now - at > horizon.GRACE + horizon.MOVED_BY
    if is_stale or oldest_unsealed(since=at):
        return catch_up(now=now)
    return 0


def is_at_work() -> bool:
    """Return whether a sealer holds the lock at this moment."""
    with transaction.atomic():
        return _take_mark() is None


def oldest_unsealed(*, since: datetime | None) -> uuid.UUID | None:
    """Return the key of the first event that has no seal."""
    found = _unsealed(least_key(since) if since else NO_KEY, 1)
    return uuid.UUID(str(found[0][0])) if found else None


def _begin(sealing: SealingPass, since: datetime | None, *, is_first: bool) -> bool:
    mark = _take_mark()
    if mark is None:
        return False  # somebody else is at work
    if not is_first:
        return True
    running = horizon.transactions(connection)
    sealing.settles = horizon.settles(mark, running)
    begins = horizon.begins_at(mark.settled_at, sealing.now)
    if begins and sealing.settles is None:
        begins = _nearer(begins, sealing.now)
    if begins and since:
        begins = min(begins, since)
    sealing.after = least_key(begins) if begins else NO_KEY
    sealing.without_key = rows.without_key(connection, after=sealing.after, most=MOST_REPORTED)
    if _is_worth_writing(mark, sealing) and horizon.wait_anew(mark, running, sealing.now):
        mark.save(update_fields=["waiting_at", "waiting_for"])
    return True


def _nearer(begins: datetime, now: datetime) -> datetime:
    """Look back less far while a long transaction keeps the mark where it is.

    What it shows at its end is found then, because its end lets the mark go on.
    """
    newest = EventSeal.objects.order_by("-event_id").values_list("event_id", flat=True).first()
    return max(begins, min(instant_of(newest), now) - 2 * horizon.GRACE) if newest else begins


def _is_worth_writing(mark: SealedUntil, sealing: SealingPass) -> bool:
    return mark.waiting_at is None or sealing.now - mark.waiting_at >= horizon.MOVED_BY


def _take_mark() -> SealedUntil | None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{FROZEN_SECONDS}s'")
        SealedUntil.objects.get_or_create(pk=SealedUntil.THE_ONE)
    # SQLite has no row locks: a write takes the only lock there is, before anything is read.
    elif not SealedUntil.objects.filter(pk=SealedUntil.THE_ONE).update(id=SealedUntil.THE_ONE):
        SealedUntil.objects.create()
    return SealedUntil.objects.select_for_update(skip_locked=True).first()


def _seal_next(sealing: SealingPass, batch: int) -> None:
    found = _unsealed(sealing.after, batch)
    if found:
        insert(_links(sealing, found))
        sealing.sealed += len(found)
        sealing.after = uuid.UUID(str(found[-1][0]))
    sealing.is_over = len(found) < batch
    if sealing.is_over and sealing.settles:
        is_earlier = Q(settled_at=None) | Q(settled_at__lt=sealing.settles)
        SealedUntil.objects.filter(is_earlier).update(settled_at=sealing.settles)


def insert(seals: list[EventSeal]) -> None:
    """Add the seals; refused where one of their events or numbers has one already."""
    if connection.vendor != "postgresql":
        EventSeal.objects.bulk_create(seals)
        return
    # COPY takes a third of the time of INSERT; the constraints judge it alike.
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for seal in seals:
            copy.write_row([getattr(seal, column) for column in COLUMNS])


def _unsealed(after: uuid.UUID, most: int) -> list[Any]:
    key = rows.key_for(connection, after)
    statement = _UNSEALED.format(columns=rows.columns(connection), has_key=rows.has_key(connection))
    with rows.cursor(connection) as cursor:
        cursor.execute(statement, [key, key, most])
        found: list[Any] = cursor.fetchall()
        return found


def _links(sealing: SealingPass, waiting: list[Any]) -> list[EventSeal]:
    """Chain the events on to the heads of their streams.

    An event without the application's attestation is sealed like any other, and sealed as such: to
    leave it out would let one row stop the sealing of all.
    """
    key, now = keyring().active, sealing.clock()
    heads: dict[str, ChainHead] = {}
    links = []
    for row in waiting:
        texts = rows.as_texts(row, connection)
        stream = str(texts[STREAM])
        head = heads.get(stream) or _head(stream, key, now)
        if not (attested := is_attested(texts)):
            texts[ATTESTATION] = None
        seal = _link(texts, stream, head, key, now)
        if not attested:
            found = sealing.unattested.setdefault(stream, Unattested(seal))
            found.last, found.count = seal, found.count + 1
        heads[stream] = ChainHead(seal.seq, bytes(seal.mac), key.id)
        links.append(seal)
    return links


def _link(
    texts: list[str | None], stream: str, head: ChainHead, key: SealKey, now: datetime
) -> EventSeal:
    position = ChainPosition(stream, head.seq + 1, key.id, instant(now), head.mac)
    return EventSeal(
        event_id=str(texts[0]),
        stream=stream,
        seq=position.seq,
        version=VERSION,
        key_id=key.id,
        prev=head.mac,
        mac=key.mac(message(position, texts)),
        sealed_at=now,
    )


def _head(stream: str, key: SealKey, now: datetime) -> ChainHead:
    """Return the end of a stream's chain; say so where another key takes over."""
    head = head_of(stream)
    if head.key_id != key.id:
        events.emit(
            KEY_ADOPTED,
            target=f"key:{key.id}",
            data={"stream": stream, "from_number": head.seq + 1, "before": head.key_id or None},
            now=now,
        )
    return head


def head_of(stream: str, *, using: str | None = None) -> ChainHead:
    """Return the last link of a stream, or what retention left of it, or the beginning."""
    if seal := EventSeal.objects.using(using).last_of(stream):
        return ChainHead(seal.seq, rows.as_bytes(seal.mac), seal.key_id)
    if anchor := Checkpoint.objects.using(using).last_anchor(stream):
        return ChainHead(anchor.seq, bytes(anchor.mac), "")
    return ChainHead(0, GENESIS, "")


def mac_of(stream: str, seq: int, *, using: str | None = None) -> bytes | None:
    """Return the MAC at a number."""
    seals = EventSeal.objects.using(using).filter(stream=stream, seq=seq)
    mac = seals.values_list("mac", flat=True).first()
    return None if mac is None else rows.as_bytes(mac)


def stands(stream: str, seq: int, mac: bytes) -> bool:
    """Return whether that link is still there, or retention has removed it."""
    there = mac_of(stream, seq)
    if there is None:
        return seq <= Checkpoint.objects.removed_up_to(stream)
    return hmac.compare_digest(there, mac)
