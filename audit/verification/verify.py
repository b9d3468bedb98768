"""The whole verification: protection, chains, signed heads, and what was never sealed.

:func:`verify_for_the_record` also keeps the result, and reports a broken chain as an event.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from audit import append_only
from audit.attestation import is_attested
from audit.keys import instant_of
from audit.models import ChainVerification, Checkpoint, EventSeal, SecurityEvent
from audit.sealing import rows
from audit.sealing.encoding import GENESIS, instant
from audit.sealing.keyring import keyring
from audit.sealing.reporting import emit_broken, no_event
from audit.sealing.rollout import Accepted, rollout
from audit.sealing.sealer import NO_KEY, mac_of
from audit.verification import heads as signed_heads
from audit.verification.chain import Walk, walk
from audit.verification.links import Reader
from audit.verification.report import Report, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from audit.checkpoints.copies import Copies
    from audit.checkpoints.signing import CheckpointHead

Texts: TypeAlias = "list[str | None]"

UNSEALED_AFTER = timedelta(minutes=1)
MOST_UNSEALED = 1_000  # counted; beyond it the exact number tells nobody anything
SHOWN = 5
KEPT = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Question:
    """What to verify: everything, or one stream, or what was sealed from one time on."""

    now: datetime
    using: str = DEFAULT_DB_ALIAS
    stream: str | None = None
    since: datetime | None = None
    copies: Copies | None = None  # None where nothing outside is to be compared with
    unsealed_after: timedelta | None = UNSEALED_AFTER


def total(question: Question) -> int:
    """Return about how many links there are to look at."""
    reader = Reader(question.using)
    spans = [_span(question, reader, stream) for stream in _streams(question)]
    return sum(max(0, last - first + 1) for first, last in spans)


def verify(question: Question, *, progress: Callable[[int], None] = lambda _done: None) -> Report:
    """Look at everything and name what is wrong; nothing is changed or repaired.

    Raises :class:`~audit.errors.AuditKeysUnusable` where the settings hold no usable keys.
    """
    keyring()
    report = Report(is_complete=question.since is None and question.stream is None)
    reader = Reader(question.using)
    _protection(question.using, report)
    heads, outside = _heads(question, report)
    ends: dict[str, tuple[int, int]] = {}
    for stream in _streams(question):
        ends[stream] = reader.ends(stream)
        walk(reader, _begin(question, reader, stream, heads, report), progress=progress)
        report.heads[stream] = ends[stream][1]
    believed = signed_heads.compare(heads, using=question.using, ends=ends, report=report)
    if not (ends or believed):
        report.doubts.insert(
            0,
            "There is nothing to verify, neither a sealed event nor a checkpoint: this log is new, "
            "or all of it is gone.",
        )
    elif question.copies is not None:
        outside &= set(believed)
        signed_heads.doubt_uncompared(outside, using=question.using, streams=ends, report=report)
    _unsealed(question, report)
    return report


def verify_for_the_record(
    question: Question, *, progress: Callable[[int], None] = lambda _done: None
) -> Report:
    """Verify, keep what came of it, and emit an event where something is wrong."""
    began = time.monotonic()
    report = verify(question, progress=progress)
    seconds = time.monotonic() - began
    ended_at = question.now + timedelta(seconds=seconds)
    ChainVerification.objects.create(
        ended_at=ended_at,
        is_whole={Verdict.WHOLE: True, Verdict.BROKEN: False}.get(report.verdict),
        is_complete=report.is_complete,
        looked_at=report.looked_at,
        seconds=seconds,
        detail=report.summary(),
    )
    ChainVerification.objects.filter(ended_at__lt=ended_at - KEPT).delete()
    if report.verdict is Verdict.BROKEN:
        first = report.violations[0]
        emit_broken(stream=first.stream or "all", detail=report.summary(), counts=report.counts)
    return report


def _heads(question: Question, report: Report) -> tuple[list[CheckpointHead], set[CheckpointHead]]:
    """Return the genuine checkpoints, and which of them are from outside the database."""
    outside: set[CheckpointHead] = set()
    if copies := question.copies:
        report.remarks += copies.remarks
        report.doubts += copies.doubts
        for detail in copies.malformed:
            report.add("checkpoint_forged", detail)
        outside.update(signed_heads.genuine(copies.signed, report))
    known = signed_heads.genuine(signed_heads.stored(question.using), report)
    heads = dict.fromkeys([*known, *outside])  # a copy says the same once more
    return [head for head in heads if question.stream in {None, head.stream}], outside


def _streams(question: Question) -> list[str]:
    found = EventSeal.objects.using(question.using).streams()
    return found if question.stream is None else [s for s in found if s == question.stream]


def _span(question: Question, reader: Reader, stream: str) -> tuple[int, int]:
    first, last = reader.ends(stream)
    return (reader.first_since(stream, question.since) if question.since else first), last


def _begin(
    question: Question, reader: Reader, stream: str, heads: list[CheckpointHead], report: Report
) -> Walk:
    """Find the first link to look at, and what is believed to stand before it."""
    first, _ = _span(question, reader, stream)
    accepted = rollout(stream, reader=reader) + [
        Accepted(head.seq, instant(head.at))
        for head in heads
        if (head.stream, head.purpose) == (stream, Checkpoint.RESTORED)
    ]
    if question.since and first > 1:
        before = mac_of(stream, first - 1, using=question.using)
        return Walk(stream, keyring(), report, first, before, accepted)
    anchor = signed_heads.anchor_of(heads, stream, before=first)
    seq, mac = (anchor.seq, anchor.mac) if anchor else (0, GENESIS)
    return Walk(stream, keyring(), report, seq + 1, mac, accepted)


def _protection(using: str, report: Report) -> None:
    for name in append_only.missing(connections[using]):
        sentence = f"The trigger {name} is missing or switched off"
        if name.endswith(append_only.NO_TRUNCATE):  # an emptied table is a gap: that is found
            report.remark(f"{sentence}: run `manage.py audit_protect`.")
        else:
            report.add(
                "unprotected",
                f"{sentence}: rows can be changed. Find out who did that, then run "
                "`manage.py audit_protect`.",
            )


def _unsealed(question: Question, report: Report) -> None:
    """Find what should have been sealed by now: it waits for a sealer, or was written in."""
    connection = connections[question.using]
    for key in rows.without_key(connection, after=NO_KEY, most=MOST_UNSEALED):
        report.add("unattested", no_event(key), event=key)
    found = unsealed(question)
    if question.unsealed_after is None:
        if found:
            report.remark(f"{_listed(found)} They were not sealed yet when this copy was made.")
        return
    waiting = [texts for texts in found if is_attested(texts)]
    if strangers := [texts for texts in found if texts not in waiting]:
        report.add(
            "unsealed",
            f"{_listed(strangers)} Nor does the application's attestation fit: they were written "
            "into the table, or by a release before attestations while no sealer ran.",
        )
    if waiting:
        report.doubt(
            f"{_listed(waiting)} They are attested, and wait for a sealer: start Celery's beat, or "
            "run `manage.py audit_seal`, and verify again."
        )


def _listed(found: list[Texts]) -> str:
    keys = [UUID(texts[0]) for texts in found[:SHOWN]]
    shown = ", ".join(f"{key} of {instant_of(key):%Y-%m-%d %H:%M} UTC" for key in keys)
    number = f"{len(found):,}" if len(found) < MOST_UNSEALED else f"{MOST_UNSEALED:,} or more"
    return f"{number} events have no seal: {shown}."


def unsealed(question: Question) -> list[Texts]:
    """Return the texts of events without a seal, oldest first, at most a thousand."""
    waiting = SecurityEvent.objects.using(question.using).order_by("pk")
    if question.unsealed_after is not None:
        waiting = waiting.before(question.now - question.unsealed_after)
    if question.since:
        waiting = waiting.since(question.since)
    if question.stream is not None:
        waiting = waiting.filter(stream=question.stream)
    has_key = rows.has_key(connections[question.using], SecurityEvent._meta.db_table)
    waiting = waiting.filter(RawSQL(has_key, (), BooleanField()), seal__isnull=True)  # noqa: S611 - ours
    keys = waiting.values_list("pk", flat=True)[:MOST_UNSEALED]
    return Reader(question.using).events(list(keys))
