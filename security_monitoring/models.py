"""What security_monitoring remembers."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """When something that must run regularly ran last; one row for each."""

    BACKGROUND = "background"

    name = models.CharField(primary_key=True, max_length=50)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        """Report what and when."""
        return f"{self.name} at {self.beat_at:%Y-%m-%d %H:%M:%S}"
