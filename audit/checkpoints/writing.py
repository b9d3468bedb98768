"""Writing checkpoints: sign the head of every stream, put a copy elsewhere, keep a row.

A head is signed only where it is genuine, and the last signed one still stands at its number: this
costs four reads for a stream and finds a cut or rewritten end within the hour.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, transaction
from django.utils import timezone

from audit.checkpoints import copies
from audit.checkpoints.signing import sign
from audit.conf import settings
from audit.errors import CheckpointRefused
from audit.events import CHECKPOINT_WRITTEN
from audit.models import Checkpoint, EventSeal
from audit.sealing.encoding import GENESIS, instant
from audit.sealing.keyring import keyring
from audit.sealing.reporting import emit_broken
from audit.sealing.rollout import Accepted
from audit.sealing.sealer import mac_of, stands
from audit.verification import chain, heads
from audit.verification.links import Reader
from audit.verification.report import Report
from garrison import events

if TYPE_CHECKING:
    from datetime import datetime

logger = logging.getLogger("garrison.audit.checkpoints")

SOON = timedelta(minutes=50)  # a second one within it would say nothing new


def write_due(*, now: datetime) -> list[Checkpoint]:
    """Sign the streams whose last checkpoint is older than fifty minutes; for the schedule.

    A stream that is broken is reported by an event, and the others are signed.
    """
    written = []
    for stream in EventSeal.objects.streams():
        last = _last(stream)
        if last is None or last.at <= now - SOON:
            try:
                written.append(write(stream=stream, now=now))
            except CheckpointRefused as refusal:
                emit_broken(stream=stream, detail=refusal.detail)
    return written


def write_first() -> None:
    """Sign the streams that have no checkpoint yet, so that none is long without; never raises.

    Does nothing in a process that verifies checkpoints and has no key to sign them with.
    """
    if settings.checkpoint_public_keys and not settings.checkpoint_keys:
        return
    for stream in EventSeal.objects.streams():
        try:
            if _last(stream) is None:
                write(stream=stream, now=timezone.now())
        except CheckpointRefused as refusal:  # the schedule reports it as an event, once an hour
            logger.warning("%s", refusal.detail)


def write(*, stream: str, now: datetime) -> Checkpoint:
    """Sign the head of one stream.

    Refused (:class:`~audit.errors.CheckpointRefused`) where there is nothing to sign, the head is
    not genuine, or the one that was signed last is not there any more.
    """
    end = _genuine_end(stream)
    last = _last(stream)
    if last and not stands(stream, last.seq, bytes(last.mac)):
        raise CheckpointRefused(
            f"No checkpoint was signed: number {last.seq} of {stream!r}, which the last one was "
            "made for, is not there any more, or is another one. Run `manage.py audit_verify`."
        )
    return _signed(Checkpoint.HEAD, stream, end.seq, bytes(end.mac), now)


def declare_restored(
    *, stream: str, now: datetime, restored_at: datetime | None = None
) -> Checkpoint:
    """Declare that a backup was restored: what was signed beyond the place where it ended is void.

    That place is the last one at which a checkpoint, here or in the storage, still fits, of those
    made before the restore: before ``restored_at``, or else before the first that does not fit.
    """
    _genuine_end(stream)
    known = [*heads.stored(DEFAULT_DB_ALIAS), *copies.stored().signed]
    genuine = [h for h in heads.genuine(known, Report()) if h.stream == stream]
    fitting = [h for h in genuine if stands(stream, h.seq, h.mac)]
    lost = [h.at for h in genuine if h not in fitting and not heads.is_void(h, genuine)]
    until = restored_at or min(lost, default=now)
    before = [h for h in fitting if h.at < until]
    place = max(before, key=lambda head: head.seq, default=None)
    seq, mac = (place.seq, place.mac) if place else (0, GENESIS)
    return _signed(Checkpoint.RESTORED, stream, seq, mac, now)


def write_anchor(*, stream: str, seq: int, mac: bytes, now: datetime) -> Checkpoint:
    """Sign that a stream begins behind a number, because retention removes it up to there."""
    return _signed(Checkpoint.ANCHOR, stream, seq, mac, now)


def _signed(purpose: str, stream: str, seq: int, mac: bytes, now: datetime) -> Checkpoint:
    count = seq - Checkpoint.objects.removed_up_to(stream)
    signed = sign(purpose=purpose, stream=stream, seq=seq, mac=mac, count=count, at=now)
    name = copies.store(signed)
    with transaction.atomic():
        row = Checkpoint.objects.create(
            **asdict(signed.head), signature=signed.signature, stored_as=name
        )
        events.emit(
            CHECKPOINT_WRITTEN,
            target=f"stream:{stream}",
            data={"number": seq, "purpose": row.purpose, "copy": name, "key_id": row.key_id},
            now=now,
        )
    return row


def _genuine_end(stream: str) -> EventSeal:
    """Return the last seal; its link is verified as by a whole verification."""
    end = EventSeal.objects.last_of(stream)
    if end is None:
        raise CheckpointRefused(
            f"Nothing is sealed in {stream!r} yet, so there is no head to sign."
        )
    report = Report()
    before = mac_of(stream, end.seq - 1)
    # An event that no application wrote is named by each verification and stops no checkpoint, or
    # whoever inserts rows could keep heads from being signed.
    anything = [Accepted(0, instant(end.sealed_at))]
    chain.walk(Reader(), chain.Walk(stream, keyring(), report, end.seq, before, anything))
    if report.counts:
        raise CheckpointRefused(f"No checkpoint was signed. {report.summary()}")
    return end


def _last(stream: str) -> Checkpoint | None:
    return Checkpoint.objects.filter(stream=stream).order_by("-pk").first()
