"""What security_monitoring itself shows on the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audit import counts
from garrison import events, health, panels
from security_monitoring import figures  # noqa: F401 - importing it registers them

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

SHOWN = 8  # rows
TONES = {
    health.Status.HEALTHY: "good",
    health.Status.DEGRADED: "warning",
    health.Status.UNHEALTHY: "critical",
}


@panels.register
class MostFrequent(panels.Panel):
    """What happens most."""

    slug = "most-frequent"
    title = "Most frequent"
    template = "security_monitoring/panels/most_frequent.html"
    permission = "audit.view_securityevent"
    width = 6
    order = 45

    def context(self, *, request: HttpRequest, window: panels.Window) -> Mapping[str, Any]:  # noqa: ARG002
        """Read the kinds off the counts; no query of its own."""
        counted = counts.counted(window)
        known = events.kinds()
        totals = {row.kind: 0 for row in counted.rows}
        for row in counted.rows:
            totals[row.kind] += row.count
        most = sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))[:SHOWN]
        return {
            "rows": [
                {
                    "kind": kind,
                    "meaning": known[kind].description if kind in known else "",
                    "total": total,
                    "values": counted.series(kinds=frozenset({kind})),
                }
                for kind, total in most
            ]
        }


@panels.register
class Health(panels.Panel):
    """Whether everything this site stands on works."""

    slug = "health"
    title = "Health"
    template = "security_monitoring/panels/health.html"
    permission = "audit.view_securityevent"
    width = 4
    order = 60

    def context(self, *, request: HttpRequest, window: panels.Window) -> Mapping[str, Any]:  # noqa: ARG002
        """Run every registered check, each guarded."""
        results = health.run()
        return {
            "results": [{"result": result, "tone": TONES[result.status]} for result in results],
            "worst": health.worst(results),
        }
