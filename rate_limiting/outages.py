"""When the store was lost, so that it is told once and not by every request."""

from __future__ import annotations

import math
import threading

REPORT_AGAIN_AFTER_SECONDS = 60.0


class Outages:
    """Remembers, per process, what has been told of an outage; times are monotonic seconds."""

    def __init__(self) -> None:
        """Begin with the store well."""
        self._reported_at = -math.inf
        self._owes_recovery = False
        self._lock = threading.Lock()

    def begin(self, *, now: float) -> bool:
        """Return whether this loss should be told: at most one a minute, flapping or lasting."""
        with self._lock:
            if now - self._reported_at < REPORT_AGAIN_AFTER_SECONDS:
                return False
            self._reported_at = now
            self._owes_recovery = True
            return True

    def end(self) -> bool:
        """Return whether the recovery should be told: once, after a loss that was."""
        if not self._owes_recovery:
            return False
        with self._lock:
            owed, self._owes_recovery = self._owes_recovery, False
            return owed


outages = Outages()
