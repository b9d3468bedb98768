"""Devices on which an account has been signed in to before."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.db import models
from django.db.models import OuterRef, Q, Subquery

from accounts.conf import settings

if TYPE_CHECKING:
    from datetime import datetime

LONGEST_DEVICE_NAME = 64  # characters
LONGEST_SESSION_ID = 36  # a UUID


class TrustedDeviceQuerySet(models.QuerySet["TrustedDevice"]):
    """Questions about trusted devices."""

    def of_user(self, user: Any) -> TrustedDeviceQuerySet:
        """Keep those of one person."""
        return self.filter(user_id=user.pk)

    def alive(self, *, now: datetime) -> TrustedDeviceQuerySet:
        """Keep those that are trusted: not expired, and among their person's last used."""
        last = self._last_too_many()
        return (
            self.filter(expires_at__gt=now)
            .annotate(too_many_at=last)
            .filter(Q(too_many_at__isnull=True) | Q(last_used_at__gt=models.F("too_many_at")))
        )

    def over(self, *, now: datetime) -> TrustedDeviceQuerySet:
        """Keep the others, which may be deleted."""
        rows = self.annotate(too_many_at=self._last_too_many())
        return rows.filter(Q(expires_at__lte=now) | Q(last_used_at__lte=models.F("too_many_at")))

    def _last_too_many(self) -> Subquery:
        """Return when the newest device that is one too many was used; NULL where none is."""
        most = settings.most_trusted_devices
        same = self.model._default_manager.filter(user=OuterRef("user")).order_by("-last_used_at")
        return Subquery(same.values("last_used_at")[most : most + 1])


class TrustedDevice(models.Model):
    """A browser or program that has signed in to the account before.

    Its token is the row's id under a key of the site, so no row tells a token; deleting the row is
    what revokes it. ``session_id`` is the session it started last, as text.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        django_settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    session_id = models.CharField(max_length=LONGEST_SESSION_ID, blank=True)
    name = models.CharField("device", max_length=LONGEST_DEVICE_NAME)
    ip = models.GenericIPAddressField("address", null=True, blank=True)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    objects = TrustedDeviceQuerySet.as_manager()

    class Meta:
        """Indexed for a person's last used."""

        verbose_name = "trusted device"
        indexes = [
            models.Index(fields=["user", "-last_used_at"], name="accounts_device_last_used"),
        ]

    def __str__(self) -> str:
        """Name the device and its person."""
        return f"{self.name} of {self.user_id}"
