"""What the worker does for audit."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from audit import retention, rollups
from audit.checkpoints import copies, writing
from audit.keys import EPOCH
from audit.sealing import sealer
from audit.verification.verify import Question, verify_for_the_record


@shared_task(name="audit.tasks.count_events")
def count_events() -> None:
    """Count the minutes that have closed; harmless when run twice or at once."""
    rollups.catch_up(now=timezone.now())


@shared_task(name="audit.tasks.recount_events")
def recount_events(hours: int = 26) -> None:
    """Count the last hours again, for what became visible late."""
    now = timezone.now()
    rollups.recount(start=now - timedelta(hours=hours), end=now)


@shared_task(name="audit.tasks.seal_events")
def seal_events(minutes: int = 15) -> None:
    """Seal what is new, and what of the last minutes was stored later than it happened."""
    now = timezone.now()
    sealer.catch_up(now=now, since=now - timedelta(minutes=minutes))
    writing.write_first()


@shared_task(name="audit.tasks.seal_late")
def seal_late() -> None:
    """Seal whatever was never sealed, however long ago it happened."""
    sealer.catch_up(now=timezone.now(), since=EPOCH)


@shared_task(name="audit.tasks.write_checkpoints")
def write_checkpoints() -> None:
    """Sign the head of every stream; harmless when run twice."""
    writing.write_due(now=timezone.now())


@shared_task(name="audit.tasks.verify_chain")
def verify_chain() -> None:
    """Verify everything, and keep what came of it."""
    verify_for_the_record(Question(now=timezone.now(), copies=copies.stored()))


@shared_task(name="audit.tasks.remove_old")
def remove_old() -> None:
    """Remove what has been kept long enough; harmless when run twice or at once."""
    now = timezone.now()
    retention.remove_old(now=now)
    retention.clean_admin_log(now=now)
