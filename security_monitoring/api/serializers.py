"""What may be asked, and what comes out."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from audit import models
from audit.models import SecurityEvent
from garrison import panels
from garrison.events import Outcome, Severity
from http_hardening.api.serializers import PageOutput, PageQuery, QuerySerializer

MOST_KINDS = 20


class MetricsQuery(QuerySerializer):
    """Which window."""

    window = serializers.ChoiceField(choices=list(panels.SPANS), default=panels.DEFAULT_SPAN)


class EventsQuery(PageQuery):
    """Which events; every filter is answered by an index."""

    kind = serializers.ListField(
        child=serializers.CharField(max_length=models.LONGEST_KIND),
        max_length=MOST_KINDS,
        required=False,
    )
    at_least = serializers.ChoiceField(
        choices=[severity.name.lower() for severity in Severity], required=False
    )
    outcome = serializers.ChoiceField(choices=[str(each) for each in Outcome], required=False)
    actor_id = serializers.CharField(max_length=models.LONGEST_ID, required=False)
    target = serializers.CharField(max_length=models.LONGEST_TARGET, required=False)
    ip = serializers.IPAddressField(required=False)
    session_id = serializers.CharField(max_length=models.LONGEST_ID, required=False)
    request_id = serializers.CharField(max_length=models.LONGEST_ID, required=False)
    since = serializers.DateTimeField(required=False)
    before = serializers.DateTimeField(required=False)

    def validate_at_least(self, name: str) -> Severity:
        """Return the severity of that name."""
        return Severity[name.upper()]


class EventOutput(serializers.ModelSerializer[SecurityEvent]):
    """One event, whole."""

    severity = serializers.SerializerMethodField()

    class Meta:
        """Every column; none holds a secret."""

        model = SecurityEvent
        fields = (
            "id",
            "at",
            "kind",
            "severity",
            "outcome",
            "actor_id",
            "actor_label",
            "target",
            "ip",
            "location",
            "user_agent",
            "session_id",
            "request_id",
            "data",
        )
        read_only_fields = fields

    def get_severity(self, event: SecurityEvent) -> str:
        """Name it: info, low, medium, high, critical."""
        return Severity(event.severity).name.lower()


class EventsOutput(PageOutput):
    """A page of events, newest first."""

    results = EventOutput(many=True)


class CheckOutput(serializers.Serializer[Any]):
    """One health check."""

    name = serializers.CharField()
    status = serializers.CharField()
    detail = serializers.CharField()
    checked_at = serializers.DateTimeField()


class HealthOutput(serializers.Serializer[Any]):
    """The worst state, and every check."""

    status = serializers.CharField()
    checks = CheckOutput(many=True)


class MetricsOutput(serializers.Serializer[Any]):
    """The window, and one number for each figure the caller may see.

    Which figures there are depends on the apps that are installed; null means that it could not be
    counted just now.
    """

    window = serializers.CharField()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()

    def get_fields(self) -> dict[str, Any]:
        """Add each registered figure."""
        figures = {
            figure.name: serializers.IntegerField(allow_null=True, required=False)
            for figure in panels.figures()
        }
        return super().get_fields() | figures

    def to_representation(self, numbers: dict[str, Any]) -> dict[str, Any]:
        """Leave out the figures that the caller may not see."""
        shown = super().to_representation(numbers)
        return {name: value for name, value in shown.items() if name in numbers}
