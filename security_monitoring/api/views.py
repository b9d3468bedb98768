"""Endpoints: each one question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone
from rest_framework.permissions import IsAdminUser

from audit import counts
from audit.models import SecurityEvent, SecurityEventQuerySet
from garrison import health, panels
from http_hardening.api.operations import operation
from http_hardening.api.paging import Page, page_of
from http_hardening.api.strict_view import StrictAPIView
from security_monitoring import dashboard
from security_monitoring.api.permissions import SeesEvents
from security_monitoring.api.serializers import (
    EventsOutput,
    EventsQuery,
    HealthOutput,
    MetricsOutput,
    MetricsQuery,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class MetricsView(StrictAPIView):
    """The figures of the dashboard."""

    permission_classes = (IsAdminUser,)

    @operation(query=MetricsQuery, returns=MetricsOutput)
    def get(self, *, window: str) -> dict[str, Any]:
        """Count each figure the caller may see, in the window asked for."""
        span = panels.window(window, now=timezone.now())
        with counts.remembering():
            numbers = {f.name: n for f, n in dashboard.figures(self.request.user, span)}
        return {"window": span.slug, "since": span.start, "until": span.end, **numbers}


class HealthView(StrictAPIView):
    """The health report."""

    permission_classes = (IsAdminUser,)

    @operation(returns=HealthOutput)
    def get(self) -> dict[str, Any]:
        """Run every registered check; the answer is 200 whatever they find."""
        results = health.run()
        return {"status": health.worst(results), "checks": results}


class EventsView(StrictAPIView):
    """The recorded events."""

    permission_classes = (SeesEvents,)

    @operation(query=EventsQuery, returns=EventsOutput)
    def get(self, *, cursor: str, limit: int, **filters: Any) -> Page[SecurityEvent]:
        """List a page of events, newest first.

        Pages go by key, so the last costs what the first does.
        """
        events = SecurityEvent.objects.all()
        for name, value in filters.items():
            narrow = NARROWED_BY.get(name)
            events = narrow(events, value) if narrow else events.filter(**{name: value})
        return page_of(events, of="events", cursor=cursor, limit=limit)


NARROWED_BY: dict[str, Callable[[Any, Any], SecurityEventQuerySet]] = {
    "kind": SecurityEventQuerySet.of_kinds,
    "at_least": SecurityEventQuerySet.at_least,
    "since": SecurityEventQuerySet.since,
    "before": SecurityEventQuerySet.before,
}
