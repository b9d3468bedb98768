"""What rate limiting shows on the security dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from garrison import health, panels
from rate_limiting import events
from rate_limiting.health import check_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.http import HttpRequest

MOST_LOOKED_AT = 100  # events
MOST_ROWS = 6


@panels.register
class RefusedRequests(panels.Panel):
    """How many requests the limits refused, which views they were for, and how the store is."""

    slug = "refused-requests"
    title = "Rate limits"
    template = "rate_limiting/panels/refused_requests.html"
    permission = "audit.view_securityevent"
    width = 6
    order = 60

    def context(self, *, request: HttpRequest, window: panels.Window) -> Mapping[str, Any]:  # noqa: ARG002
        """Read the counts, and the newest refusals by one query on an index."""
        # Only the dashboard calls this, and there is none without audit.
        from audit import counts
        from audit.models import SecurityEvent

        refused = {"kinds": frozenset({events.REQUEST_REFUSED.name})}
        newest = SecurityEvent.objects.of_kinds([events.REQUEST_REFUSED]).since(window.start)
        store = check_store()
        return {
            "chart": counts.counted(window).chart(self.title, {("Refused", "warning"): refused}),
            "rows": grouped(newest.newest(MOST_LOOKED_AT)),
            "store": store,
            "store_is_well": store.status is health.Status.HEALTHY,
        }


def grouped(refusals: Iterable[Any]) -> list[dict[str, Any]]:
    """Group refusals, newest first, by scope, endpoint and address; the longest streaks first.

    A flood is told by its doublings, so the number in an event says more than the number of events.
    """
    groups: dict[tuple[str, str, str], dict[str, Any]] = {}
    for event in refusals:
        scope, endpoint = str(event.data.get("scope", "")), str(event.data.get("endpoint", ""))
        row = groups.setdefault(
            (scope, endpoint, str(event.ip)),
            {"scope": scope, "endpoint": endpoint, "ip": event.ip, "in_a_row": 0, "at": event.at},
        )
        row["in_a_row"] = max(row["in_a_row"], int(event.data.get("refusals", 0)))
    return sorted(groups.values(), key=lambda row: -row["in_a_row"])[:MOST_ROWS]
