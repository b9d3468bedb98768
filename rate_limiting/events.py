"""What rate limiting says."""

from __future__ import annotations

from garrison.events import Delivery, EventKind, Outcome, Severity

REQUEST_REFUSED = EventKind(
    "rate_limiting.request.refused",
    Severity.MEDIUM,
    "A request was refused because its scope's limit was reached.",
    Outcome.REFUSED,
)
STORE_LOST = EventKind(
    "rate_limiting.store.lost",
    Severity.HIGH,
    "The store of the counters does not answer; scopes refuse or go on as their settings say.",
    Outcome.FAILURE,
    Delivery.AFTER_ROLLBACK,
)
STORE_RECOVERED = EventKind(
    "rate_limiting.store.recovered",
    Severity.INFO,
    "The store of the counters answers again.",
)
LIMIT_RESET = EventKind(
    "rate_limiting.limit.reset",
    Severity.LOW,
    "An operator let a person, an account or an address start over.",
)
