"""Events for tests: stored at once, at the instants a test names."""

from collections.abc import Iterable
from datetime import UTC, datetime

from audit.models import SecurityEvent
from garrison.events import EventKind, Outcome, Severity

DONE = EventKind("tests.door.opened", Severity.INFO, "A door was opened.")
REFUSED = EventKind("tests.door.refused", Severity.MEDIUM, "A door stayed shut.", Outcome.REFUSED)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def happened(
    instants: Iterable[datetime],
    *,
    kind="tests.door.opened",
    severity=Severity.INFO,
    outcome=Outcome.SUCCESS,
    **columns,
):
    """Store one event for each instant, and give them."""
    return SecurityEvent.objects.bulk_create(
        SecurityEvent(kind=kind, severity=severity, outcome=str(outcome), at=at, **columns)
        for at in instants
    )
