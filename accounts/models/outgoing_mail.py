"""Mails that wait to be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from accounts.login_name import LONGEST_LOGIN_NAME

if TYPE_CHECKING:
    from datetime import datetime

LONGEST_TEMPLATE_NAME = 100  # characters


class OutgoingMailQuerySet(models.QuerySet["OutgoingMail"]):
    """Questions about mails."""

    def due(self, *, now: datetime) -> OutgoingMailQuerySet:
        """Return those that may be tried at this moment, the longest waiting first."""
        return self.filter(due_at__lte=now).order_by("due_at", "pk")


class OutgoingMail(models.Model):
    """A mail that is still to be sent (``docs/decisions/0030-…``); sent or given up, it is deleted.

    It says which mail, and never what a secret in it is: a code is made when it is sent. ``user``
    or, where nobody has been looked up yet, ``address`` says for whom. ``facts`` are what its
    template shows. ``due_at`` moves on with each try, by a conditional ``UPDATE``, so of several
    senders one sends.
    """

    template = models.CharField(max_length=LONGEST_TEMPLATE_NAME)
    address = models.CharField(max_length=LONGEST_LOGIN_NAME, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    facts = models.JSONField(encoder=DjangoJSONEncoder)
    tries = models.PositiveSmallIntegerField(default=0)
    queued_at = models.DateTimeField()
    due_at = models.DateTimeField(db_index=True)

    objects = OutgoingMailQuerySet.as_manager()

    class Meta:
        """Not shown in the admin: it is gone in a moment."""

        verbose_name = "outgoing mail"

    def __str__(self) -> str:
        """Name the mail; its address is not shown."""
        return f"{self.template} #{self.pk}"
