"""Whether events can be stored, and stay as they are."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from audit import append_only, rollups
from audit.models import SecurityEvent
from garrison import health
from garrison.health import Finding, Status

LATE = timedelta(minutes=15)


@health.register("audit")
def evidence() -> Finding:
    """Look for the triggers, try to add a row, and look how far counting has come."""
    if missing := append_only.missing(connection):
        return Finding(
            Status.UNHEALTHY,
            f"Events can be changed: {', '.join(missing)} is missing. "
            "Run `manage.py audit_protect`, and find out who removed it.",
        )
    with transaction.atomic():
        SecurityEvent.objects.create(kind="audit.health.tried")
        transaction.set_rollback(True)
    until = rollups.counted_until()
    if until and timezone.now() - until > LATE:
        return Finding(
            Status.DEGRADED,
            f"Events are counted until {until:%Y-%m-%d %H:%M} UTC only. "
            "Start Celery, or run `manage.py audit_count`.",
        )
    return Finding(Status.HEALTHY)
