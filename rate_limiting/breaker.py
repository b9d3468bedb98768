"""The circuit breaker: a dead store is found dead once, then asked again by one caller at a time.

Closed, every call goes through. The first failure opens it: calls are refused at no cost until the
pause is over. Then one call is let through as a probe; its success closes the breaker, its failure
doubles the pause, up to a cap. State is per process: it speaks of this process' line to the store,
and decides nothing about a client.
"""

from __future__ import annotations

import math
import threading

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 4.0
REPORT_AGAIN_AFTER_SECONDS = 60.0


class CircuitBreaker:
    """Thread-safe; times are seconds of a monotonic clock, passed in."""

    def __init__(self) -> None:
        """Start closed."""
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._retry_at = 0.0
        self._lock = threading.Lock()
        self.is_open = False

    def admits(self, *, now: float) -> bool:
        """Return whether a call may go through; while open, one probe per pause may."""
        if not self.is_open:
            return True
        with self._lock:
            if not self.is_open:
                return True
            if now < self._retry_at:
                return False
            # This caller probes; the others wait another pause for what it finds.
            self._retry_at = now + self._pause_seconds
            return True

    def fail(self, *, now: float) -> None:
        """Learn that a call failed: open, or after a failed probe wait twice as long."""
        with self._lock:
            if self.is_open:
                self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
            self.is_open = True
            self._retry_at = now + self._pause_seconds

    def succeed(self) -> None:
        """Learn that a call went through: close."""
        if not self.is_open:
            return
        with self._lock:
            self.is_open = False
            self._pause_seconds = FIRST_PAUSE_SECONDS

    def retry_in_seconds(self, *, now: float) -> float:
        """Return after how long the next probe may go."""
        return max(0.0, self._retry_at - now) if self.is_open else 0.0


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
