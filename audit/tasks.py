"""What the worker does for audit."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from audit import rollups


@shared_task(name="audit.tasks.count_events")
def count_events() -> None:
    """Count the minutes that have closed; harmless when run twice or at once."""
    rollups.catch_up(now=timezone.now())


@shared_task(name="audit.tasks.recount_events")
def recount_events(hours: int = 26) -> None:
    """Count the last hours again, for what became visible late."""
    now = timezone.now()
    rollups.recount(start=now - timedelta(hours=hours), end=now)
