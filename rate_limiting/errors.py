"""What rate limiting refuses, and how it says that it cannot count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from garrison.errors import Refusal

if TYPE_CHECKING:
    from rate_limiting.verdicts import Verdict


class RateLimited(Refusal):
    """Too many requests of one kind from one caller; ``Retry-After`` tells when to come back."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"

    def __init__(self, verdict: Verdict) -> None:
        """Keep the verdict, so that the answer can carry its headers."""
        super().__init__(
            f"Too many requests. Wait {verdict.retry_after_seconds} seconds and try again.",
            retry_after_seconds=verdict.retry_after_seconds,
        )
        self.verdict = verdict


class StoreUnavailable(Refusal):
    """The store did not answer in time, or not in a way that can be used."""

    code = "store_unavailable"
    status = 503
    title = "A part of the service is unavailable"


class LimiterUnavailable(StoreUnavailable):
    """The request cannot be counted, and its scope does not go on uncounted."""

    code = "rate_limiter_unavailable"
    title = "The request could not be counted, so it was refused"
