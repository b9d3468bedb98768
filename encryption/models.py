"""Rows of encryption: key versions, rotations, failures, and whose keys there are. No secrets."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, models, transaction

if TYPE_CHECKING:
    from datetime import datetime


class KeyVersion(models.Model):
    """One version of the master key, as this database has met it.

    The fingerprint is derived from the key for this alone; it shows that another key is under a
    known id before that writes anything, and reveals nothing of either.
    """

    key_id = models.CharField(max_length=12, primary_key=True)
    fingerprint = models.CharField(max_length=16)
    first_seen_at = models.DateTimeField()
    activated_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Newest first, and the permission that shows a value in clear."""

        ordering = ("-first_seen_at", "key_id")
        permissions: ClassVar = [("reveal_values", "Can see encrypted values in clear")]

    def __str__(self) -> str:
        """Return the id."""
        return self.key_id

    @classmethod
    def retired_on(cls, key_id: str) -> datetime | None:
        """Return when a key was retired, for the sentence of a failed read; never raises."""
        try:
            with transaction.atomic():
                rows = cls.objects.filter(pk=key_id)
                return rows.values_list("retired_at", flat=True).first()
        except (DatabaseError, RuntimeError, SynchronousOnlyOperation):
            # No table, no connection, a broken transaction, an event loop: the sentence does
            # without.
            return None


class Rotation(models.Model):
    """How far one field's values have been brought to the active key; survives a kill."""

    label = models.CharField(max_length=200, primary_key=True)
    key_id = models.CharField(max_length=12)
    cursor = models.TextField(blank=True, default="")
    rotated = models.BigIntegerField(default=0)
    started_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """By field."""

        ordering = ("label",)

    def __str__(self) -> str:
        """Name the field and the key."""
        return f"{self.label} to {self.key_id}"


class DecryptionFailureCount(models.Model):
    """How many values of a field could not be read in an hour, and why."""

    hour = models.DateTimeField(db_index=True)
    place = models.CharField(max_length=200)
    key_id = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=20)
    count = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField()

    class Meta:
        """Newest first; one row per hour, place, key and reason."""

        ordering = ("-hour", "place")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["hour", "place", "key_id", "reason"], name="encryption_failure_once"
            )
        ]

    def __str__(self) -> str:
        """Report where and how often."""
        return f"{self.place}: {self.count}"


class SubjectKey(models.Model):
    """That a person has a key, and whether it was erased; the key itself is never in a database."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subject = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    erased_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """One living key per subject; erased ones stay as the proof of erasure."""

        ordering = ("-created_at",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subject"],
                condition=models.Q(erased_at=None),
                name="encryption_one_living_key",
            )
        ]

    def __str__(self) -> str:
        """Name the subject."""
        return self.subject
