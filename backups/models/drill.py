"""Drills: restores into a scratch database, and what they found."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from backups.models.backup import Backup
from backups.models.run import Run, RunQuerySet


class Drill(Run):
    """One drill; ``good`` means that every check passed."""

    backup = models.ForeignKey(Backup, models.CASCADE, null=True, related_name="drills")
    target = models.CharField(max_length=64, blank=True)
    scratch = models.CharField(max_length=100, blank=True, editable=False)
    rto_seconds = models.FloatField(
        null=True, help_text="Seconds from the first byte read to a checked database."
    )
    rpo_seconds = models.FloatField(
        null=True, help_text="Age of the backup's snapshot when the drill began."
    )
    findings = models.JSONField(
        default=list, help_text="What each check found: name, is_whole, looked_at, detail."
    )

    objects: ClassVar[RunQuerySet[Drill]] = RunQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        """Newest first; one drill for each scheduled slot."""

        ordering = ("-queued_at",)
        constraints = (
            models.UniqueConstraint(fields=("slot",), name="backups_one_drill_per_slot"),
        )

    def __str__(self) -> str:
        """Name it by its day."""
        return f"Drill of {self.queued_at:%Y-%m-%d %H:%M}"
