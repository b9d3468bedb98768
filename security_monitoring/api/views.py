"""Endpoints: read the question, ask, write the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import counts
from audit.models import SecurityEvent, SecurityEventQuerySet
from garrison import health, panels
from security_monitoring import dashboard
from security_monitoring.api.permissions import IsStaff, SeesEvents
from security_monitoring.api.serializers import (
    EventOutput,
    EventsOutput,
    EventsQuestion,
    HealthOutput,
    MetricsOutput,
    MetricsQuestion,
)

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    from rest_framework.request import Request


@method_decorator(never_cache, name="dispatch")
class MetricsView(APIView):
    """The figures of the dashboard."""

    permission_classes = (IsStaff,)

    @extend_schema(parameters=[MetricsQuestion], responses={200: MetricsOutput})
    def get(self, request: Request) -> Response:
        """Count each figure the caller may see, in the window asked for."""
        window = panels.window(MetricsQuestion.of(request)["window"], now=timezone.now())
        with counts.remembering():
            numbers = {f.name: n for f, n in dashboard.figures(request.user, window)}
        span = {"window": window.slug, "since": window.start, "until": window.end}
        return Response({**span, **numbers})


@method_decorator(never_cache, name="dispatch")
class HealthView(APIView):
    """The health report."""

    permission_classes = (IsStaff,)

    @extend_schema(responses={200: HealthOutput})
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Run every registered check; the answer is 200 whatever they find."""
        results = health.run()
        return Response(HealthOutput({"status": health.worst(results), "checks": results}).data)


@method_decorator(never_cache, name="dispatch")
class EventsView(APIView):
    """The recorded events."""

    permission_classes = (SeesEvents,)

    @extend_schema(parameters=[EventsQuestion], responses={200: EventsOutput})
    def get(self, request: Request) -> Response:
        """Return a page, newest first; pages go by key, so the last costs what the first does."""
        rows, cursor = page(**EventsQuestion.of(request))
        return Response({"results": EventOutput(rows, many=True).data, "next": cursor})


NARROWED_BY: dict[str, Callable[[Any, Any], SecurityEventQuerySet]] = {
    "kind": SecurityEventQuerySet.of_kinds,
    "at_least": SecurityEventQuerySet.at_least,
    "since": SecurityEventQuerySet.since,
    "before": SecurityEventQuerySet.before,
    "cursor": SecurityEventQuerySet.older_than,
}


def page(*, limit: int, **question: Any) -> tuple[list[SecurityEvent], uuid.UUID | None]:
    """Find the events asked for, and the cursor of what comes after them."""
    events = SecurityEvent.objects.all()
    for name, value in question.items():
        narrow = NARROWED_BY.get(name)
        events = narrow(events, value) if narrow else events.filter(**{name: value})
    rows = list(events.newest(limit + 1))
    return rows[:limit], rows[limit - 1].pk if len(rows) > limit else None
