"""What beat runs."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from sessions_tracking import services
from sessions_tracking.conf import settings


@shared_task
def clean_sessions() -> None:
    """Delete rows that are past their keeping; twice at once does no harm."""
    kept = timedelta(days=settings.keep_ended_days)
    services.clean_sessions(older_than=timezone.now() - kept)
