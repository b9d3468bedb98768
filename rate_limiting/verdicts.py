"""What a check found, and how an answer's headers say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rate_limiting.rates import Rate


@dataclass(frozen=True, slots=True)
class Usage:
    """One rate after the check; ``counter`` is its key in the store."""

    rate: Rate
    counter: str
    used: int
    reset_seconds: int

    @property
    def remaining(self) -> int:
        """How many more would pass in this window."""
        return max(0, self.rate.limit - self.used)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one check.

    ``refused_by`` is the rate that refused, or ``None`` where the request goes on;
    ``retry_after_seconds`` and ``refusals`` (in a row) are 0 then. ``usages`` is empty where
    nothing was counted: the scope is off, or the store is down and the scope goes on without it.
    """

    scope: str
    endpoint: str = ""
    usages: tuple[Usage, ...] = ()
    refused_by: Rate | None = None
    retry_after_seconds: int = 0
    refusals: int = 0

    def headers(self) -> dict[str, str]:
        """Return ``RateLimit-Policy``, ``RateLimit`` and, after a refusal, ``Retry-After``.

        The first two are lists of draft-ietf-httpapi-ratelimit-headers: quota ``q`` and window
        ``w``, remaining ``r`` and seconds until the reset ``t``.
        """
        if not self.usages:
            return {}
        policies, left = [], []
        for index, usage in enumerate(self.usages):
            rate, name = usage.rate, self.scope
            if index:  # a scope's further rates are named by what they count by, too
                name = f"{name}-{'-'.join(rate.key).replace('.', '-')}"
            policies.append(f'"{name}";q={rate.limit};w={rate.period_seconds}')
            left.append(f'"{name}";r={usage.remaining};t={usage.reset_seconds}')
        headers = {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(left)}
        if self.refused_by is not None:
            headers["Retry-After"] = str(self.retry_after_seconds)
        return headers
