"""What audit itself says."""

from __future__ import annotations

from garrison.events import Delivery, EventKind, Outcome, Severity

KEY_ADOPTED = EventKind(
    "audit.key.adopted",
    Severity.MEDIUM,
    "Events are sealed with another key from here on: the first one, or a new one.",
)
ATTESTATION_INTRODUCED = EventKind(
    "audit.attestation.introduced",
    Severity.INFO,
    "Events are attested from here on: a migration found events of a release that did not.",
)
CHECKPOINT_WRITTEN = EventKind(
    "audit.checkpoint.written", Severity.INFO, "The head of the audit chain was signed."
)
EVENTS_REMOVED = EventKind(
    "audit.events.removed",
    Severity.LOW,
    "Events older than AUDIT_KEEP_DAYS were removed, behind a signed anchor.",
)
CHAIN_BROKEN = EventKind(
    "audit.chain.broken",
    Severity.CRITICAL,
    "The audit log does not verify: events were changed, removed, added or moved.",
    Outcome.FAILURE,
    Delivery.AFTER_ROLLBACK,
)
LOGIN_SUCCEEDED = EventKind(
    "audit.login.succeeded",
    Severity.INFO,
    "A person signed in by Django's own login(); reported where no app does it better.",
)
LOGIN_FAILED = EventKind(
    "audit.login.failed",
    Severity.LOW,
    "Django's authenticate() let nobody in; reported where no app does it better.",
    Outcome.REFUSED,
)
LOGOUT_COMPLETED = EventKind(
    "audit.logout.completed",
    Severity.INFO,
    "A person signed out by Django's own logout(); reported where no app does it better.",
)
