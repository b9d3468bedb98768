"""What audit shows on the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audit import counts
from audit.chain_status import chain_status
from audit.models import SecurityEvent
from garrison import events, panels
from garrison.events import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

SHOWN = 10  # rows


@panels.register
class Chain(panels.Panel):
    """Whether the evidence is what it was."""

    slug = "audit-chain"
    title = "Audit chain"
    template = "audit/panels/chain.html"
    permission = "audit.view_securityevent"
    width = 6
    order = 85

    def context(self, *, request: HttpRequest, window: panels.Window) -> Mapping[str, Any]:  # noqa: ARG002
        """Read a few rows by their keys."""
        return {"status": chain_status(now=window.end)}


@panels.register
class EventsOverTime(panels.Panel):
    """How much happened, and how much it matters."""

    slug = "events-over-time"
    title = "Events by severity"
    template = "audit/panels/events_over_time.html"
    permission = "audit.view_securityevent"
    width = 12
    order = 10

    def context(self, *, request: HttpRequest, window: panels.Window) -> Mapping[str, Any]:  # noqa: ARG002
        """Count by severity and step: three queries, shared with all who count on this page."""
        counted = counts.counted(window)
        series = {(s.name.capitalize(), s.name.lower()): {"severity": s} for s in Severity}
        return {
            "total": counted.total(),
            "is_complete": counted.is_complete,
            "chart": counted.chart("Events by severity", series),
        }


@panels.register
class NewestEvents(panels.Panel):
    """What happened last."""

    slug = "newest-events"
    title = "Newest events"
    template = "audit/panels/newest_events.html"
    permission = "audit.view_securityevent"
    width = 8
    order = 50

    def context(self, *, request: HttpRequest, window: panels.Window) -> Mapping[str, Any]:  # noqa: ARG002
        """Read ten rows by the key."""
        meanings = {name: kind.description for name, kind in events.kinds().items()}
        newest = SecurityEvent.objects.since(window.start).newest(SHOWN)
        columns = ("at", "kind", "severity", "actor_label", "target", "ip")
        return {
            "rows": [
                {"event": event, "meaning": meanings.get(event.kind, "")}
                for event in newest.only(*columns)
            ]
        }
