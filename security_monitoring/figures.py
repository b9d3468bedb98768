"""The figures of security_monitoring: numbers read off the counted events."""

from __future__ import annotations

from audit import counts
from garrison import panels
from garrison.events import Severity
from security_monitoring.conf import settings

SEES_EVENTS = "audit.view_securityevent"
EVENTS_PAGE = "admin:audit_securityevent_changelist"


@panels.figure("total_events", label="Events", permission=SEES_EVENTS, link=EVENTS_PAGE, order=10)
def total_events(window: panels.Window) -> int:
    """Count everything that was recorded in the window."""
    return counts.counted(window).total()


@panels.figure(
    "critical_events", label="Critical events", permission=SEES_EVENTS, tone="critical", order=20
)
def critical_events(window: panels.Window) -> int:
    """Count what was of the highest severity."""
    return counts.counted(window).total(severity=Severity.CRITICAL)


@panels.figure(
    "suspicious_activities", label="Suspicious", permission=SEES_EVENTS, tone="warning", order=30
)
def suspicious_activities(window: panels.Window) -> int:
    """Count what points to an attack, by ``SECURITY_SUSPICIOUS_KINDS``; not what staff may do."""
    return counts.counted(window).total(kinds=frozenset(settings.suspicious_kinds))


@panels.figure("failed_logins", label="Failed sign-ins", permission=SEES_EVENTS, order=35)
def failed_logins(window: panels.Window) -> int:
    """Count sign-ins that failed, by ``SECURITY_FAILED_LOGIN_KINDS``."""
    return counts.counted(window).total(kinds=frozenset(settings.failed_login_kinds))
