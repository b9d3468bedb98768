"""Background work: each task only looks for rows to claim, so running twice is harmless."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from celery import shared_task
from django.utils import timezone

from backups import deletions, services
from backups.models import Drill, State
from garrison.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger("backups")


@shared_task(acks_late=False)
def tick() -> None:
    """Queue what is due, report what is overdue, and work off the queue."""
    now = timezone.now()
    services.queue_due(now=now)
    services.queue_due_drill(now=now)
    deletions.carry_out()
    services.check_backups(now=now)
    work_off.delay()


@shared_task(acks_late=False)
def work_off() -> None:
    """Make the backups and do the drills that wait; a run that goes on elsewhere is left alone."""
    with _refusals_logged("A backup"):
        while services.run_queued(now=timezone.now()):
            pass
    for drill in Drill.objects.filter(state=State.QUEUED).order_by("queued_at"):
        with _refusals_logged("A drill"):
            services.run_drill(drill_id=drill.pk, now=timezone.now())


@shared_task(acks_late=False)
def verify(backup_id: str) -> None:
    """Verify one backup; what is found stands in its row and in an event."""
    with _refusals_logged(f"Verification of backup {backup_id}"):
        services.verify(backup_id=backup_id, now=timezone.now())


@contextmanager
def _refusals_logged(work: str) -> Iterator[None]:
    """End the block at a refusal; the row and the event hold it, too, and a retry is the tick's."""
    try:
        yield
    except Refusal as refusal:
        logger.error("%s failed: %s", work, refusal.detail)  # noqa: TRY400 - no surprise, no trace
