"""The index: backups and their copies, in clear; what is inside stands in the manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import models

from backups.models.run import Run, RunQuerySet, State
from backups.times import SKEW

if TYPE_CHECKING:
    from datetime import datetime


class Kind(models.TextChoices):
    """Why a backup was made."""

    SCHEDULED = "scheduled", "scheduled"
    REQUESTED = "requested", "requested"
    SAFETY = "safety", "before a restore"


class Content(models.TextChoices):
    """What a backup holds."""

    ALL = "all", "database and files"
    DATABASE = "database", "database"
    FILES = "files", "files"


class BackupQuerySet(RunQuerySet["Backup"]):
    """Questions about backups."""

    def newest_good(self, *, now: datetime) -> Backup | None:
        """Return the good backup with the latest snapshot.

        One that a wrong clock has stamped in the future hides no other one.
        """
        good = self.filter(state=State.GOOD).order_by("-snapshot_at")
        return good.filter(snapshot_at__lte=now + SKEW).first() or good.first()

    def with_database(self) -> BackupQuerySet:
        """Return the backups that hold a database."""
        return self.exclude(content=Content.FILES)


class Backup(Run):
    """One backup: when, where, how big, in which state; nothing of what is inside."""

    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.REQUESTED)
    content = models.CharField(max_length=10, choices=Content.choices, default=Content.ALL)
    folder = models.CharField(max_length=120, blank=True, editable=False)
    stage = models.CharField(max_length=40, blank=True)
    bytes_done = models.PositiveBigIntegerField(default=0)
    bytes_expected = models.PositiveBigIntegerField(default=0)
    snapshot_at = models.DateTimeField(null=True, blank=True, db_index=True)
    engine = models.CharField(max_length=40, blank=True)
    size_bytes = models.PositiveBigIntegerField(default=0)
    raw_bytes = models.PositiveBigIntegerField(default=0)
    rows = models.PositiveBigIntegerField(default=0)
    files = models.PositiveBigIntegerField(default=0)
    skipped = models.JSONField(
        default=dict, blank=True, help_text="Files that are not in it, counted by kind."
    )
    parts = models.JSONField(default=list, blank=True, editable=False)
    recipients = models.JSONField(default=list, blank=True)
    signer = models.CharField(max_length=80, blank=True)
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(
        null=True, blank=True, help_text="When an identity last opened this backup."
    )
    drilled_at = models.DateTimeField(null=True, blank=True)
    damage = models.CharField(
        max_length=500, blank=True, help_text="What verification found wrong; empty when whole."
    )
    indeterminate = models.CharField(
        max_length=500,
        blank=True,
        help_text="Why the last verification could not decide; empty when it could.",
    )

    objects: ClassVar[BackupQuerySet] = BackupQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        """Newest first; one backup for each scheduled slot."""

        ordering = ("-queued_at",)
        indexes = (models.Index(fields=("state", "-snapshot_at"), name="backups_state_snapshot"),)
        constraints = (
            models.UniqueConstraint(fields=("slot",), name="backups_one_backup_per_slot"),
        )
        permissions = (
            ("verify_backup", "Can verify backups"),
            ("drill_backup", "Can drill backups"),
        )

    def __str__(self) -> str:
        """Name it by its folder, or by its id while it has none."""
        return self.folder or str(self.pk)


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
    needs_opening = models.BooleanField(
        default=False, help_text="An identity found it damaged; only one can find it whole again."
    )

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
        """Name the target and the state."""
        return f"{self.target}: {self.get_state_display()}"


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
