"""Where failed sign-ins are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    from datetime import datetime

LONGEST_KEY = 120  # characters
ACCOUNT = "account:"  # how the key of an account's bucket begins
ADDRESS = "address:"
SITE = "site"  # the bucket of every stranger together


class LockoutBucketQuerySet(models.QuerySet["LockoutBucket"]):
    """Questions about buckets."""

    def locked(self, *, now: datetime) -> LockoutBucketQuerySet:
        """Return those that refuse at this moment, the longest lock first."""
        return self.filter(locked_until__gt=now).order_by("-locked_until")

    def accounts(self) -> LockoutBucketQuerySet:
        """Keep those of accounts."""
        return self.filter(key__startswith=ACCOUNT)

    def idle_since(self, at: datetime) -> LockoutBucketQuerySet:
        """Return those that have decided nothing since then, and lock nothing."""
        unlocked = models.Q(locked_until__isnull=True) | models.Q(locked_until__lt=at)
        return self.filter(unlocked, window_started_at__lt=at)


class LockoutBucket(models.Model):
    """How many of its places are taken, and until when it is locked.

    Written by the statements in :mod:`accounts.lockout` only, each of which decides in the
    row itself. ``taken`` counts failures and the attempts that are being checked right now;
    ``locks`` how many locks followed each other. ``user`` is filled when an account's bucket locks,
    for the people who look at it; what is counted is the ``key``, whether there is an account or
    not.
    """

    key = models.CharField(primary_key=True, max_length=LONGEST_KEY)
    places = models.PositiveIntegerField()
    taken = models.PositiveIntegerField()
    window_started_at = models.DateTimeField()
    locked_until = models.DateTimeField(null=True, blank=True)
    locks = models.PositiveIntegerField()
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
        """Return the key, which holds a fingerprint and no name."""
        return self.key

    @property
    def label(self) -> str:
        """Report whose bucket it is, as far as that is known: a name of nobody is not stored."""
        if self.user_id is not None:
            return str(self.user)
        kind, _, rest = self.key.partition(":")
        if kind == "account":
            return f"no account ({rest[:8]})"
        return rest

    def is_locked(self, *, now: datetime) -> bool:
        """Return whether the bucket refuses at this moment."""
        return self.locked_until is not None and self.locked_until > now
