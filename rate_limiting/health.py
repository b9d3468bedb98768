"""Whether the store of the counters answers, and how fast."""

from __future__ import annotations

import time

from garrison import health
from rate_limiting.errors import StoreUnavailable
from rate_limiting.limiter import counter_cache

SLOW_MILLISECONDS = 20


@health.register("rate limits")
def check_store() -> health.CheckResult:
    """Make one round trip; the site goes on without the store, so it takes nobody offline."""
    started = time.perf_counter()
    try:
        counter_cache().store.call("PING")
    except StoreUnavailable as failure:
        return health.CheckResult(health.Status.UNHEALTHY, failure.detail)
    milliseconds = (time.perf_counter() - started) * 1000
    slow = milliseconds > SLOW_MILLISECONDS
    return health.CheckResult(
        health.Status.DEGRADED if slow else health.Status.HEALTHY,
        f"The store answered in {milliseconds:.1f} ms.",
    )
