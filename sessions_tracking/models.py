"""Session rows, and the questions asked of them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.validators import ProhibitNullCharactersValidator
from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from datetime import datetime

LONGEST_KEY_ID = 32  # characters
LONGEST_USER_AGENT = 512
LONGEST_REASON = 40
REUSED = "refresh_reused"  # the reason for which a stolen session was ended
NO_NUL = [ProhibitNullCharactersValidator()]  # PostgreSQL's text holds none
MOST_COUNTED = 100_000  # rows; beyond it a dashboard's number tells nobody more


class SessionQuerySet(models.QuerySet["Session"]):
    """Questions asked of sessions."""

    def alive(self, *, now: datetime) -> SessionQuerySet:
        """Sessions that have neither been ended nor lapsed."""
        return self.filter(ended_at__isnull=True, expires_at__gt=now, idle_expires_at__gt=now)

    def over(self, *, now: datetime) -> SessionQuerySet:
        """Sessions that have been ended or have lapsed."""
        lapsed = Q(expires_at__lte=now) | Q(idle_expires_at__lte=now)
        return self.filter(Q(ended_at__isnull=False) | lapsed)

    def number_alive(self, *, now: datetime) -> int:
        """Count the living, up to 100,000, so that the cost has an end."""
        return self.alive(now=now)[:MOST_COUNTED].count()

    def stolen_since(self, at: datetime) -> SessionQuerySet:
        """Sessions that were ended because a replaced refresh token came back, last ones first."""
        return self.filter(end_reason=REUSED, ended_at__gte=at).order_by("-ended_at")

    def of_user(self, user: Any) -> SessionQuerySet:
        """Sessions of one user, dead or alive."""
        return self.filter(user_id=user.pk)

    def over_since(self, cutoff: datetime) -> SessionQuerySet:
        """Sessions that were ended, or reached their last possible moment, before the cutoff."""
        ended = Q(ended_at__isnull=False, ended_at__lt=cutoff)
        return self.filter(ended | Q(ended_at__isnull=True, expires_at__lt=cutoff))


class Session(models.Model):
    """One signed-in device, by tokens or by a cookie.

    ``counter`` is how often the refresh token was rotated, ``key_id`` names the key the present one
    was issued under, and ``rotated_at`` when: from these the present refresh token can be computed
    again, so none is stored. ``authenticated_at`` is when its user last proved who they are.
    """

    class Kind(models.TextChoices):
        """What the device holds."""

        TOKEN = "token", "Tokens"
        COOKIE = "cookie", "Cookie"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="tracked_sessions",
        db_index=False,  # the composite index below begins with it
    )
    kind = models.CharField(max_length=6, choices=Kind.choices)
    counter = models.BigIntegerField(default=0)
    key_id = models.CharField(max_length=LONGEST_KEY_ID, blank=True)
    sealed_cookie_key = models.BinaryField(
        blank=True, default=bytes, help_text="The key of Django's session, sealed (cookies.py)."
    )

    created_at = models.DateTimeField()
    authenticated_at = models.DateTimeField()
    rotated_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    idle_expires_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    amr = models.JSONField(
        "authentication methods", default=list, help_text="By their names in RFC 8176."
    )
    ip = models.GenericIPAddressField("address", null=True, blank=True)
    user_agent = models.CharField(max_length=LONGEST_USER_AGENT, blank=True, validators=NO_NUL)
    device = models.CharField(max_length=120, blank=True, validators=NO_NUL)
    fingerprint = models.CharField(max_length=64, blank=True, validators=NO_NUL)
    location = models.CharField(max_length=120, blank=True, validators=NO_NUL)
    risk = models.JSONField(default=list, blank=True)

    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=LONGEST_REASON, blank=True)

    read_at: datetime  # by the database's clock, where a query has asked for it

    objects = SessionQuerySet.as_manager()

    class Meta:
        """Every question asked while serving a request is answered by an index.

        No index holds a column that a rotation or a use changes, so that PostgreSQL can update the
        row in place (HOT) and does not bloat.
        """

        default_permissions = ("view",)
        permissions = [("end_session", "Can end sessions of others")]
        constraints = [
            models.CheckConstraint(name="sessions_kind", condition=Q(kind__in=["token", "cookie"])),
            models.CheckConstraint(name="sessions_counter", condition=Q(counter__gte=0)),
            models.CheckConstraint(
                name="sessions_ended_with_reason",
                condition=Q(ended_at__isnull=True, end_reason="")
                | (Q(ended_at__isnull=False) & ~Q(end_reason="")),
            ),
            models.CheckConstraint(
                name="sessions_idle_within_lifetime",
                condition=Q(idle_expires_at__lte=models.F("expires_at")),
            ),
            models.CheckConstraint(
                name="sessions_token_has_key", condition=~Q(kind="token", key_id="")
            ),
        ]
        indexes = [
            models.Index(fields=["user", "ended_at"], name="sessions_user_ended"),
            models.Index(
                fields=["expires_at"], name="sessions_running", condition=Q(ended_at__isnull=True)
            ),
            models.Index(fields=["-created_at"], name="sessions_newest"),
            models.Index(
                fields=["ended_at"], name="sessions_stolen", condition=Q(end_reason=REUSED)
            ),
            models.Index(
                fields=["ended_at"], name="sessions_over", condition=Q(ended_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        """Name the row without telling whose it is."""
        return f"session {self.pk}"

    def is_alive(self, *, now: datetime) -> bool:
        """Return whether the session itself may be used; its user is asked separately."""
        return self.ended_at is None and self.expires_at > now and self.idle_expires_at > now
