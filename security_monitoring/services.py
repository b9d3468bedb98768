"""The verbs of security_monitoring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from security_monitoring.models import Heartbeat

if TYPE_CHECKING:
    from datetime import datetime


def beat(*, name: str, now: datetime) -> None:
    """Note that something ran; two at once leave one row."""
    Heartbeat.objects.bulk_create(
        [Heartbeat(name=name, beat_at=now)],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["beat_at"],
    )
