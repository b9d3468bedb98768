"""How often it happened."""

from __future__ import annotations

from django.db import models

from audit.models.event import LONGEST_KIND, OUTCOMES, SEVERITIES


class EventCount(models.Model):
    """How many events of one kind, severity and outcome began in one minute, or one hour.

    Made of the events by :mod:`audit.rollups`, and of nothing else; it can be thrown away and made
    again.
    """

    MINUTE = "m"
    HOUR = "h"

    period = models.CharField(max_length=1, choices=[(MINUTE, "Minute"), (HOUR, "Hour")])
    starts_at = models.DateTimeField()
    kind = models.CharField(max_length=LONGEST_KIND)
    severity = models.PositiveSmallIntegerField(choices=SEVERITIES)
    outcome = models.CharField(max_length=8, choices=OUTCOMES)
    count = models.PositiveIntegerField()

    class Meta:
        """One row for each; the constraint's index also answers "since when"."""

        constraints = (
            models.UniqueConstraint(
                fields=["period", "starts_at", "kind", "severity", "outcome"],
                name="audit_one_count_each",
            ),
        )

    def __str__(self) -> str:
        """Name the moment, the kind and the count."""
        return f"{self.starts_at:%Y-%m-%d %H:%M} {self.kind}: {self.count}"


class CountedUntil(models.Model):
    """How far the events are counted: one row, and the lock under which counting goes on."""

    THE_ONE = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=THE_ONE, editable=False)
    at = models.DateTimeField(null=True)

    class Meta:
        """There is one row."""

        constraints = (
            models.CheckConstraint(condition=models.Q(id=1), name="audit_one_watermark"),
        )

    def __str__(self) -> str:
        """Name the moment."""
        return f"counted until {self.at:%Y-%m-%d %H:%M}" if self.at else "nothing counted"
