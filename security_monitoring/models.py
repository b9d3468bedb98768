"""What security_monitoring remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from datetime import datetime


class Heartbeat(models.Model):
    """When something that must run regularly ran last; one row for each."""

    BACKGROUND = "background"

    name = models.CharField(primary_key=True, max_length=50)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        """Report what and when."""
        return f"{self.name} at {self.beat_at:%Y-%m-%d %H:%M:%S}"

    @staticmethod
    def record(*, name: str = BACKGROUND, now: datetime) -> None:
        """Write that something ran; two at once leave one row."""
        Heartbeat.objects.bulk_create(
            [Heartbeat(name=name, beat_at=now)],
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=["beat_at"],
        )
