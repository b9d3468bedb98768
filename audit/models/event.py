"""What happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone

from audit.attestation import LONGEST, AttestationField
from audit.keys import TimeOrderedKey, least_key
from audit.models.evidence import Evidence, EvidenceQuerySet
from garrison.context import LONGEST_USER_AGENT
from garrison.events import Outcome, Severity

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable
    from datetime import datetime

LONGEST_KIND = 100
LONGEST_ID = 64
LONGEST_LABEL = 254  # an e-mail address, RFC 5321
LONGEST_TARGET = 200
MAIN_STREAM = "main"
LONGEST_STREAM = 32

SEVERITIES = [(int(severity), severity.name.capitalize()) for severity in Severity]
OUTCOMES = [(str(outcome), outcome.name.capitalize()) for outcome in Outcome]


class SecurityEventQuerySet(EvidenceQuerySet["SecurityEvent"]):
    """The questions asked of what happened; each has an index, and ``newest`` bounds it."""

    def for_target(self, target: str) -> SecurityEventQuerySet:
        """Keep what happened to one thing: ``for_target("user:6f0c…")``."""
        return self.filter(target=target)

    def for_actor(self, actor_id: object) -> SecurityEventQuerySet:
        """Keep what one user did, by their key."""
        return self.filter(actor_id=str(actor_id))

    def of_kinds(self, kinds: Iterable[object]) -> SecurityEventQuerySet:
        """Keep the kinds given, as constants or names."""
        return self.filter(kind__in=[str(kind) for kind in kinds])

    def at_least(self, severity: Severity) -> SecurityEventQuerySet:
        """Keep what matters at least that much."""
        return self.filter(severity__gte=int(severity))

    def since(self, at: datetime) -> SecurityEventQuerySet:
        """Keep what happened at that instant or later."""
        return self.filter(pk__gte=least_key(at))

    def before(self, at: datetime) -> SecurityEventQuerySet:
        """Keep what happened earlier than that instant."""
        return self.filter(pk__lt=least_key(at))

    def newest(self, count: int) -> SecurityEventQuerySet:
        """Return the newest ``count``, newest first."""
        return self.order_by("-pk")[:count]

    def older_than(self, key: uuid.UUID) -> SecurityEventQuerySet:
        """Keep what comes after that row on a page: ``older_than(last.pk).newest(50)``."""
        return self.filter(pk__lt=key)


class SecurityEvent(Evidence):
    """One thing that happened, or was refused; a row is written once and stays as it is.

    Who, from where and in which request are copies made at the time, so they outlive the account
    and the session. ``id`` sorts by ``at``; see :mod:`audit.keys`.
    """

    id = TimeOrderedKey(primary_key=True, editable=False)
    stream = models.CharField(max_length=LONGEST_STREAM, default=MAIN_STREAM, editable=False)
    kind = models.CharField(max_length=LONGEST_KIND)
    severity = models.PositiveSmallIntegerField(choices=SEVERITIES, default=int(Severity.INFO))
    outcome = models.CharField(max_length=8, choices=OUTCOMES, default=str(Outcome.SUCCESS))
    at = models.DateTimeField(default=timezone.now)
    actor_id = models.CharField(max_length=LONGEST_ID, blank=True)
    actor_label = models.CharField("actor", max_length=LONGEST_LABEL, blank=True)
    target = models.CharField(max_length=LONGEST_TARGET, blank=True)
    ip = models.GenericIPAddressField("address", null=True, blank=True)
    location = models.CharField(max_length=100, blank=True)
    user_agent = models.CharField(max_length=LONGEST_USER_AGENT, blank=True)
    session_id = models.CharField(max_length=LONGEST_ID, blank=True)
    request_id = models.CharField(max_length=LONGEST_ID, blank=True)
    data = models.JSONField(default=dict, blank=True)
    # NULL where a release before it wrote the row, or somebody who is no process of this site.
    attestation = AttestationField(max_length=LONGEST, null=True, editable=False)

    objects = SecurityEventQuerySet.as_manager()

    class Meta:
        """Newest first; each index is called by the question it answers.

        Most events have no target or no session, and are a success: an index leaves those out.
        """

        ordering = ("-id",)
        indexes = (
            models.Index(fields=["kind", "id"], name="audit_of_kind"),
            models.Index(fields=["severity", "id"], name="audit_of_severity"),
            models.Index(
                fields=["outcome", "id"],
                name="audit_of_outcome",
                condition=models.Q(outcome__in=[str(Outcome.FAILURE), str(Outcome.REFUSED)]),
            ),
            models.Index(
                fields=["target", "id"], name="audit_for_target", condition=~models.Q(target="")
            ),
            models.Index(
                fields=["actor_id", "id"], name="audit_for_actor", condition=~models.Q(actor_id="")
            ),
            models.Index(
                fields=["ip", "id"], name="audit_from_ip", condition=models.Q(ip__isnull=False)
            ),
            models.Index(
                fields=["session_id", "id"],
                name="audit_in_session",
                condition=~models.Q(session_id=""),
            ),
            models.Index(
                fields=["request_id"],
                name="audit_in_request",
                condition=~models.Q(request_id=""),
            ),
        )

    def __str__(self) -> str:
        """Report when and what."""
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.kind}"
