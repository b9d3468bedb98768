"""Writing checkpoints: sign the head of every stream, put a copy elsewhere, keep a row.

A head is signed only where it is genuine, and the last signed one still stands at its number: this
costs four reads for a stream and finds a cut or rewritten end within the hour.
"""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, transaction

from audit.checkpoints import copies
from audit.checkpoints.signing import from_row, sign
from audit.errors import CheckpointRefused
from audit.events import CHAIN_BROKEN, CHECKPOINT_WRITTEN
from audit.models import Checkpoint
from audit.sealing.encoding import GENESIS
from audit.sealing.keyring import keyring
from audit.verification import chain, heads
from audit.verification.links import Reader
from audit.verification.report import Report
from garrison import events

if TYPE_CHECKING:
    from datetime import datetime

    from audit.checkpoints.signing import CheckpointHead

SOON = timedelta(minutes=50)  # a second one within it would say nothing new


def write_due(*, now: datetime) -> list[Checkpoint]:
    """Sign the streams whose last checkpoint is older than fifty minutes; for the schedule.

    A stream that is broken is told by an event, and the others are signed.
    """
    written = []
    for stream in Reader(DEFAULT_DB_ALIAS).streams():
        last = _last(stream)
        if last is None or last.at <= now - SOON:
            try:
                written.append(write(stream=stream, now=now))
            except CheckpointRefused as refusal:
                emit_broken(stream=stream, detail=refusal.detail)
    return written


def write(*, stream: str, now: datetime) -> Checkpoint:
    """Sign the head of one stream.

    Refused (:class:`~audit.errors.CheckpointRefused`) where there is nothing to sign, the head is
    not genuine, or the one that was signed last is not there any more.
    """
    reader = Reader(DEFAULT_DB_ALIAS)
    last = reader.ends(stream)[1]
    _require_genuine_end(stream, last)
    _require_continued(stream)
    return _signed(Checkpoint.HEAD, stream, last, reader.mac_of(stream, last) or b"", now)


def declare_restored(*, stream: str, now: datetime) -> Checkpoint:
    """Say that a backup was restored: what was signed beyond the place where it ended is void.

    That place is the last one at which a checkpoint, here or in the storage, still fits.
    """
    last = Reader(DEFAULT_DB_ALIAS).ends(stream)[1]
    _require_genuine_end(stream, last)
    known = [*heads.stored(DEFAULT_DB_ALIAS), *copies.stored().signed]
    genuine = heads.genuine(known, Report())
    fitting = [head for head in genuine if head.stream == stream and _stands(head)]
    place = max(fitting, key=lambda head: head.seq, default=None)
    seq, mac = (place.seq, place.mac) if place else (0, GENESIS)
    return _signed(Checkpoint.RESTORED, stream, seq, mac, now)


def _stands(head: CheckpointHead) -> bool:
    there = Reader(DEFAULT_DB_ALIAS).mac_of(head.stream, head.seq)
    return there is not None and hmac.compare_digest(there, head.mac)


def _signed(purpose: str, stream: str, seq: int, mac: bytes, now: datetime) -> Checkpoint:
    count = seq - removed_up_to(stream)
    signed = sign(purpose=purpose, stream=stream, seq=seq, mac=mac, count=count, at=now)
    name = copies.store(signed)
    with transaction.atomic():
        row = Checkpoint.objects.create(
            purpose=signed.head.purpose,
            stream=stream,
            seq=seq,
            mac=mac,
            count=signed.head.count,
            at=now,
            key_id=signed.head.key_id,
            signature=signed.signature,
            stored_as=name,
        )
        events.emit(
            CHECKPOINT_WRITTEN,
            target=f"stream:{stream}",
            data={"number": seq, "purpose": row.purpose, "copy": name, "key_id": row.key_id},
            now=now,
        )
    return row


def emit_broken(*, stream: str, detail: str, **data: object) -> None:
    """Say, as an event, that the chain does not verify."""
    events.emit(CHAIN_BROKEN, target=f"stream:{stream}", data={"detail": detail, **data})


def _require_genuine_end(stream: str, last: int) -> None:
    """Verify the last two links, as a whole verification would."""
    if not last:
        raise CheckpointRefused(
            f"Nothing is sealed in {stream!r} yet, so there is no head to sign."
        )
    reader, report = Reader(DEFAULT_DB_ALIAS), Report()
    before = reader.mac_of(stream, last - 1) if last > 1 else None
    chain.walk(reader, chain.Walk(stream, keyring(), report, last, before))
    if not report.is_whole:
        raise CheckpointRefused(f"No checkpoint was signed. {report.summary()}")


def _require_continued(stream: str) -> None:
    last = _last(stream)
    if last is None:
        return
    if last.seq > removed_up_to(stream) and not _stands(from_row(last).head):
        raise CheckpointRefused(
            f"No checkpoint was signed: number {last.seq} of {stream!r}, which the last one was "
            "made for, is not there any more, or is another one. Run `manage.py audit_verify`."
        )


def _last(stream: str) -> Checkpoint | None:
    return Checkpoint.objects.filter(stream=stream).order_by("-pk").first()


def removed_up_to(stream: str) -> int:
    """Return the number up to which retention has removed a stream, as an anchor says; or zero."""
    anchors = Checkpoint.objects.filter(stream=stream, purpose=Checkpoint.ANCHOR)
    return anchors.order_by("-seq").values_list("seq", flat=True).first() or 0
