"""What the worker does for security_monitoring."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from security_monitoring.models import Heartbeat


@shared_task(name="security_monitoring.tasks.beat")  # type: ignore[untyped-decorator, unused-ignore]
def beat() -> None:
    """Show that beat sends tasks and a worker runs them."""
    Heartbeat.record(now=timezone.now())
