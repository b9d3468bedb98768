"""The passwords that people have used, as hashes."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class UsedPassword(models.Model):
    """One that a person set, and when; the newest is the present one where its hash is the same.

    Written by :mod:`accounts.password.history` only, under the lock of the account's row, so that
    no statement with a hash in it fails: the database would log it. ``breaches_checked_at`` is when
    the breach service last answered for it.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    encoded = models.TextField()
    set_at = models.DateTimeField()
    breaches_checked_at = models.DateTimeField(null=True)

    class Meta:
        """Not shown in the admin: nobody has to see a hash."""

        verbose_name = "used password"

    def __str__(self) -> str:
        """Name the person; the hash is not shown."""
        return f"password of {self.user_id}"
