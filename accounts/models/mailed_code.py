"""Codes that were mailed, as digests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    from datetime import datetime


class Purpose(models.TextChoices):
    """What a code proves; a code of one purpose is void for every other."""

    VERIFY_EMAIL = "verify_email", "verify the address"
    RESET_PASSWORD = "reset_password", "choose a new password"
    UNLOCK = "unlock", "sign in to a locked account"


class MailedCode(models.Model):
    """A live code of a person and purpose.

    Kept as an HMAC, never in clear. ``tries`` only grows, by one conditional ``UPDATE``: a guess
    that did not win its place in the row is not compared; it counts where a code is short enough to
    be guessed. ``number`` is 0 where a new code voids the one before.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="mailed_codes"
    )
    purpose = models.CharField(max_length=20, choices=Purpose.choices)
    number = models.PositiveSmallIntegerField(default=0)
    digest = models.CharField(max_length=64)
    tries = models.PositiveSmallIntegerField(default=0)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        """One live code for each person, purpose and number."""

        constraints = [
            models.UniqueConstraint(
                fields=["user", "purpose", "number"], name="accounts_one_code_of_a_number"
            ),
        ]

    def __str__(self) -> str:
        """Name the purpose and the person; the digest is not shown."""
        return f"{self.purpose} for {self.user_id}"

    def is_expired(self, *, now: datetime) -> bool:
        """Return whether the code's time is over."""
        return self.expires_at <= now
