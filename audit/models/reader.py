"""How far others have read."""

from __future__ import annotations

from django.db import models

from audit.models.event import LONGEST_STREAM, MAIN_STREAM


class EventReader(models.Model):
    """How far one reader has come along a stream: behind number ``seq``, sealed with that MAC."""

    name = models.CharField(max_length=100, primary_key=True)
    stream = models.CharField(max_length=LONGEST_STREAM, default=MAIN_STREAM)
    seq = models.BigIntegerField(default=0)
    mac = models.BinaryField(max_length=32, default=bytes)
    moved_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        """Report who has come how far."""
        return f"{self.name} behind {self.stream} {self.seq}"
