"""Verifying for the record: the result is kept, and a broken chain is an event."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from audit.checkpoints.writing import emit_broken
from audit.models import ChainVerification
from audit.verification.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from audit.verification.report import Report
    from audit.verification.verify import Question

KEPT = timedelta(days=400)


def verify_for_the_record(
    question: Question, *, progress: Callable[[int], None] = lambda _done: None
) -> Report:
    """Verify, keep what came of it, and say so where something is wrong."""
    began = time.monotonic()
    report = verify(question, progress=progress)
    seconds = time.monotonic() - began
    ended_at = question.now + timedelta(seconds=seconds)
    ChainVerification.objects.create(
        ended_at=ended_at,
        is_whole=report.is_whole,
        is_complete=report.is_complete,
        looked_at=report.looked_at,
        seconds=seconds,
        detail=report.summary(),
    )
    ChainVerification.objects.filter(ended_at__lt=ended_at - KEPT).delete()
    if not report.is_whole:
        first = report.violations[0]
        emit_broken(stream=first.stream or "all", detail=report.summary(), counts=report.counts)
    return report
