"""The state of one backup on one target."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from backups.models.backup import Backup


class CopyState(models.TextChoices):
    """The life of a copy."""

    WRITING = "writing", "being written"
    GOOD = "good", "good"
    FAILED = "failed", "failed"
    DAMAGED = "damaged", "damaged"
    PRUNED = "pruned", "pruned"


class Copy(models.Model):
    """What became of a backup on one target."""

    backup = models.ForeignKey(Backup, models.CASCADE, related_name="copies")
    target = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=CopyState.choices, default=CopyState.WRITING)
    size_bytes = models.PositiveBigIntegerField(default=0)
    verified_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=500, blank=True)

    objects: ClassVar[models.Manager[Copy]] = models.Manager()

    class Meta:
        """One row for each backup and target."""

        verbose_name_plural = "copies"
        constraints = (
            models.UniqueConstraint(
                fields=("backup", "target"), name="backups_one_copy_per_target"
            ),
        )

    def __str__(self) -> str:
        """Say where, and in which state."""
        return f"{self.target}: {self.get_state_display()}"
