"""Sign-ins that stand half-done: the password was right, and a step asks for more."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from accounts.models.lockout_bucket import LONGEST_KEY


class PendingSignIn(models.Model):
    """What a half-done sign-in has proved, and to what it is bound (``docs/decisions/0005-…``).

    Named by the SHA-256 of its token, which is stored nowhere. ``state`` is Django's HMAC of the
    password it was begun with, ``origin`` one of user agent and network. ``bucket`` is the
    account's, which counts it until it is complete; ``reservations`` is every place it holds.
    Whoever deletes the row has completed it, so of several at once one does. One that was voided
    has neither state nor bucket.
    """

    digest = models.CharField(primary_key=True, max_length=64)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=128)
    origin = models.CharField(max_length=64)
    bucket = models.CharField(max_length=LONGEST_KEY, db_index=True)
    reservations = models.JSONField()
    amr = models.JSONField()
    passed = models.JSONField()
    notes = models.JSONField(default=dict)
    tries = models.PositiveSmallIntegerField(default=0)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        """Not shown in the admin: it is over in minutes."""

        verbose_name = "half-done sign-in"

    def __str__(self) -> str:
        """Name the person; the digest is not shown."""
        return f"half-done sign-in of {self.user_id}"
