"""Where failed sign-ins are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    from datetime import datetime

LONGEST_KEY = 120  # characters


class LockoutBucketQuerySet(models.QuerySet["LockoutBucket"]):
    """Questions about buckets."""

    def locked(self, *, now: datetime) -> LockoutBucketQuerySet:
        """Give those that refuse at this moment, the longest lock first."""
        return self.filter(locked_until__gt=now).order_by("-locked_until")

    def idle_since(self, at: datetime) -> LockoutBucketQuerySet:
        """Give those that have decided nothing since then, and lock nothing."""
        unlocked = models.Q(locked_until__isnull=True) | models.Q(locked_until__lt=at)
        return self.filter(unlocked, window_started_at__lt=at)


class LockoutBucket(models.Model):
    """How many places are taken under one key, and until when it is locked.

    Written by the statements in :mod:`accounts.lockout` only, each of which decides in the
    row itself. ``taken`` counts failures and the attempts that are being checked right now.
    ``user`` is filled when an account's bucket locks, for the people who look at it; an attempt is
    counted by ``key``, whether the account exists or not.
    """

    key = models.CharField(primary_key=True, max_length=LONGEST_KEY)
    taken = models.PositiveIntegerField(default=0)
    window_started_at = models.DateTimeField()
    locked_until = models.DateTimeField(null=True, blank=True)
    locks = models.PositiveIntegerField(default=0)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    objects = LockoutBucketQuerySet.as_manager()

    class Meta:
        """Indexed for what is locked now, and for cleaning up."""

        verbose_name = "lockout bucket"
        indexes = [
            models.Index(
                fields=["locked_until"],
                condition=models.Q(locked_until__isnull=False),
                name="accounts_locked_until",
            ),
            models.Index(fields=["window_started_at"], name="accounts_window_started_at"),
        ]

    def __str__(self) -> str:
        """Give the key, which holds a fingerprint and no name."""
        return self.key

    def is_locked(self, *, now: datetime) -> bool:
        """Tell whether the bucket refuses at this moment."""
        return self.locked_until is not None and self.locked_until > now
