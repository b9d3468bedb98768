"""Background work: each task only looks for rows to claim, so running twice is harmless."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from backups import deletions, services
from backups.errors import BackupBusy
from backups.models import Drill, State
from garrison.errors import Refusal

logger = logging.getLogger("backups")


@shared_task(acks_late=False)
def tick() -> None:
    """Queue what is due, say what is overdue, and work off the queue."""
    now = timezone.now()
    services.queue_due(now=now)
    services.queue_due_drill(now=now)
    deletions.carry_out(now=now)
    services.check_backups(now=now)
    work_off.delay()


@shared_task(acks_late=False)
def work_off() -> None:
    """Make the backups and do the drills that wait; a run that goes on elsewhere is left alone."""
    _work_off_backups()
    _work_off_drills()


def _work_off_backups() -> None:
    while True:
        try:
            made = services.run_queued(now=timezone.now())
        except Refusal as refusal:  # the row, the event and the log hold it; a retry is the tick's
            logger.error("A backup failed: %s", refusal.detail)  # noqa: TRY400 - a refusal is no surprise
            return
        if made is None:
            return
        _prune()


def _prune() -> None:
    try:
        services.prune(now=timezone.now())
    except BackupBusy:
        logger.info("Pruning waits: a backup is running.")


def _work_off_drills() -> None:
    for drill in Drill.objects.filter(state=State.QUEUED).order_by("queued_at"):
        try:
            services.run_drill(drill_id=drill.pk, now=timezone.now())
        except Refusal as refusal:
            logger.error("A drill failed: %s", refusal.detail)  # noqa: TRY400 - a refusal is no surprise


@shared_task(acks_late=False)
def verify(backup_id: str) -> None:
    """Verify one backup; what is found stands in its row and in an event."""
    try:
        services.verify(backup_id=backup_id, now=timezone.now())
    except Refusal as refusal:
        logger.error("Verification of backup %s: %s", backup_id, refusal.detail)  # noqa: TRY400 - a refusal is no surprise
