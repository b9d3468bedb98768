"""Against signed heads: what a chain alone cannot show is that its end was cut off or rewritten."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import TYPE_CHECKING

from audit.checkpoints.signing import from_row, require_genuine
from audit.errors import CheckpointRefused
from audit.models import Checkpoint, EventSeal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from audit.checkpoints.signing import CheckpointHead, Signed
    from audit.verification.report import Report

SIGNED_WITHIN = timedelta(hours=3)  # every hour, and one may be missed
AT_ONCE = 500  # heads looked up in one statement


def genuine(checkpoints: Iterable[Signed], report: Report) -> list[CheckpointHead]:
    """Return the heads whose signature holds; each other one is a violation."""
    heads = []
    for signed in checkpoints:
        try:
            require_genuine(signed)
        except CheckpointRefused as refusal:
            report.add("checkpoint_forged", refusal.detail, stream=signed.head.stream)
        else:
            heads.append(signed.head)
    return heads


def stored(using: str) -> Iterator[Signed]:
    """Return the checkpoints that the database itself holds."""
    rows = Checkpoint.objects.using(using).order_by("pk")
    return (from_row(row) for row in rows.iterator(chunk_size=AT_ONCE))


def anchor_of(
    heads: Iterable[CheckpointHead], stream: str, *, before: int
) -> CheckpointHead | None:
    """Return the newest anchor that lies before a number: where retention says the chain begins."""
    anchors = [
        head
        for head in heads
        if head.stream == stream and head.purpose == Checkpoint.ANCHOR and head.seq < before
    ]
    return max(anchors, key=lambda head: head.seq, default=None)


def compare(
    heads: list[CheckpointHead], *, using: str, ends: dict[str, tuple[int, int]], report: Report
) -> list[CheckpointHead]:
    """Compare each signed head with what stands at its number now; return those not void."""
    believed = [head for head in heads if not is_void(head, heads)]
    if void := len(heads) - len(believed):
        report.remark(
            f"{void:,} checkpoints are void, because a backup was restored after they were made."
        )
    report.checkpoints += len(believed)
    for stream in {head.stream for head in believed}:
        of_stream = sorted((h for h in believed if h.stream == stream), key=lambda h: h.seq)
        first, last = ends.get(stream, (0, 0))
        _report_truncated(of_stream, last, report)
        _report_rewritten([h for h in of_stream if first <= h.seq <= last], using, report)
    return believed


def doubt_uncompared(
    outside: Iterable[CheckpointHead], *, using: str, streams: Iterable[str], report: Report
) -> None:
    """Doubt each stream whose end no checkpoint outside the database vouches for.

    Whoever owns the database can cut off the end of a chain, or make all of it disappear, together
    with the checkpoints that the database holds itself.
    """
    newest = {head.stream: head.at for head in sorted(outside, key=lambda h: h.at) if head.seq}
    for stream in streams:
        end = EventSeal.objects.using(using).last_of(stream)
        if stream not in newest:
            report.doubt(
                f"No checkpoint outside the database is of {stream!r}, so nothing shows whether "
                "its end was cut off. Run `manage.py audit_checkpoint`, and keep the copy."
            )
        elif end and end.sealed_at and end.sealed_at - newest[stream] > SIGNED_WITHIN:
            report.doubt(
                f"The newest checkpoint outside the database is of {newest[stream]:%Y-%m-%d %H:%M} "
                f"UTC, and nothing shows whether what {stream!r} sealed since was cut off. Run "
                "`manage.py audit_checkpoint`."
            )


def is_void(head: CheckpointHead, heads: list[CheckpointHead]) -> bool:
    """Return whether a restore was declared since, to a place before that head."""
    return any(
        restored.purpose == Checkpoint.RESTORED
        and restored.stream == head.stream
        and head.seq > restored.seq
        and head.at < restored.at
        for restored in heads
    )


def _report_truncated(of_stream: list[CheckpointHead], last: int, report: Report) -> None:
    newest = of_stream[-1]
    anchored = max((h.seq for h in of_stream if h.purpose == Checkpoint.ANCHOR), default=0)
    if newest.seq <= max(last, anchored):
        return
    report.add(
        "truncated",
        f"The end of {newest.stream!r} was cut off: the checkpoint of {newest.at:%Y-%m-%d %H:%M} "
        f"UTC was signed at number {newest.seq}, and the last one here is {last}. If a backup "
        "was restored, run `manage.py audit_checkpoint --restored`.",
        stream=newest.stream,
        number=last + 1,
    )


def _report_rewritten(of_stream: list[CheckpointHead], using: str, report: Report) -> None:
    for start in range(0, len(of_stream), AT_ONCE):
        some = of_stream[start : start + AT_ONCE]
        seals = EventSeal.objects.using(using).filter(
            stream=some[0].stream, seq__in=[head.seq for head in some]
        )
        macs = {seq: bytes(mac) for seq, mac in seals.values_list("seq", "mac")}
        for head in some:
            there = macs.get(head.seq)
            if there is None or hmac.compare_digest(there, head.mac):
                continue  # a gap is told by the walk along the chain
            report.add(
                "rewritten",
                f"The chain of {head.stream!r} was rewritten: number {head.seq} is not what the "
                f"checkpoint of {head.at:%Y-%m-%d %H:%M} UTC signed. Everything before it may "
                "have been changed by somebody who has the sealing key.",
                stream=head.stream,
                number=head.seq,
            )
