"""What may be asked, and what comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework import serializers

from audit import models
from audit.models import SecurityEvent
from garrison import panels
from garrison.errors import FieldError
from garrison.events import Severity
from security_monitoring.errors import QuestionInvalid

if TYPE_CHECKING:
    from rest_framework.request import Request

MOST_EVENTS = 200  # of one page
MOST_KINDS = 20


class Question(serializers.Serializer[Any]):
    """Query parameters: exactly these names, each once unless it is a list."""

    @classmethod
    def of(cls, request: Request) -> dict[str, Any]:
        """Read the request's parameters, or refuse them with every reason."""
        given = request.query_params
        question = cls(data=given)
        errors = [
            *(
                FieldError("unknown_field", "There is no such parameter.", name)
                for name in sorted(set(given) - set(question.fields))
            ),
            *(
                FieldError("repeated", "It is given more than once.", name)
                for name, values in given.lists()
                if len(values) > 1
                and name in question.fields
                and not isinstance(question.fields[name], serializers.ListField)
            ),
        ]
        if not question.is_valid():
            errors += [
                FieldError(str(reason.code), str(reason), name)
                for name, reasons in question.errors.items()
                for reason in _flat(reasons)
            ]
        if errors:
            raise QuestionInvalid(errors=errors)
        return dict(question.validated_data)


def _flat(reasons: Any) -> list[Any]:
    if isinstance(reasons, dict):
        return [reason for inner in reasons.values() for reason in _flat(inner)]
    return list(reasons)


class MetricsQuestion(Question):
    """Which window."""

    window = serializers.ChoiceField(choices=list(panels.SPANS), default=panels.DEFAULT_SPAN)


class EventsQuestion(Question):
    """Which events; every filter is answered by an index."""

    kind = serializers.ListField(
        child=serializers.CharField(max_length=models.LONGEST_KIND),
        max_length=MOST_KINDS,
        required=False,
    )
    at_least = serializers.ChoiceField(
        choices=[severity.name.lower() for severity in Severity], required=False
    )
    actor_id = serializers.CharField(max_length=models.LONGEST_ID, required=False)
    target = serializers.CharField(max_length=models.LONGEST_TARGET, required=False)
    ip = serializers.IPAddressField(required=False)
    session_id = serializers.CharField(max_length=models.LONGEST_ID, required=False)
    request_id = serializers.CharField(max_length=models.LONGEST_ID, required=False)
    since = serializers.DateTimeField(required=False)
    before = serializers.DateTimeField(required=False)
    cursor = serializers.UUIDField(required=False)
    limit = serializers.IntegerField(min_value=1, max_value=MOST_EVENTS, default=50)

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


class EventsOutput(serializers.Serializer[Any]):
    """A page of events, newest first; ``next`` is the cursor of the next page, or null."""

    results = EventOutput(many=True)
    next = serializers.UUIDField(allow_null=True)


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
    total_events = serializers.IntegerField(allow_null=True, required=False)
    critical_events = serializers.IntegerField(allow_null=True, required=False)
    suspicious_activities = serializers.IntegerField(allow_null=True, required=False)
    failed_logins = serializers.IntegerField(allow_null=True, required=False)
    active_sessions = serializers.IntegerField(allow_null=True, required=False)
    locked_accounts = serializers.IntegerField(allow_null=True, required=False)
