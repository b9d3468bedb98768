"""What http_hardening says."""

from __future__ import annotations

from garrison.events import EventKind, Outcome, Severity

CSP_VIOLATED = EventKind(
    "http_hardening.policy.violated",
    Severity.LOW,
    "A browser reports that the content security policy kept a page from loading something.",
    Outcome.REFUSED,
)
