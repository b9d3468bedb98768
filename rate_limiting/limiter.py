"""The engine: one check of all of a scope's rates, in one round trip.

``django-ratelimit`` reads the rates, lays the windows and names the counters; the cache collects
what it names, and one script counts all of them or none. See
``docs/decisions/0004-counting-engine.md``.
"""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings as django_settings
from django.core.cache import caches
from django_ratelimit.core import get_usage

from garrison import events as security_events
from garrison.conf import remembered
from garrison.errors import ConfigurationError, EventNotRecorded
from garrison.events import Severity
from rate_limiting import events, scripts
from rate_limiting.breaker import outages
from rate_limiting.cache import CounterCache
from rate_limiting.conf import settings
from rate_limiting.errors import LimiterUnavailable, RateLimited, StoreUnavailable
from rate_limiting.policy import policy_for
from rate_limiting.verdicts import Usage, Verdict

if TYPE_CHECKING:
    from rate_limiting.policy import Policy
    from rate_limiting.rates import Rate
    from rate_limiting.store import Store
    from rate_limiting.subject import Subject

logger = logging.getLogger("garrison.rate_limiting")

MOST_REMEMBERED = 4096  # counters of the present windows, per process
# Refusals in a row; from then on each doubling is told, or a flood would fill the log.
EVERY_REFUSAL_UP_TO = 16


def count_request(*, scope: str, subject: Subject) -> Verdict:
    """Count one request under its scope, and say how much is left.

    Raises :class:`~rate_limiting.errors.RateLimited` when one of the rates is used up; then no
    rate has counted the request. Raises :class:`~rate_limiting.errors.LimiterUnavailable` when the
    store is down and the scope is one that does not go on uncounted. It never raises anything else
    for what a client sends, and costs one round trip.
    """
    policy = policy_for(scope)
    try:
        verdict = _count(policy, subject)
    except StoreUnavailable as failure:
        return _without_store(policy, subject, failure)
    if outages.end():
        _emit_recovery()
    if verdict.refused_by is not None:
        _emit_refusal(verdict, policy)
        raise RateLimited(verdict)
    return verdict


def refund(*, verdict: Verdict, is_served: bool = True) -> None:
    """Take the request out of its counters again, because failures should count there.

    Successes are no more than ``RATE_LIMITING_MOST_REFUNDS`` allows: the further ones count. What
    was not served is outside that bound, or an outage would use it up and lock people out. A store
    that is down keeps the place: it will expire with its window.
    """
    counters = [usage.counter for usage in verdict.usages]
    if not counters or verdict.refused_by is not None:
        return
    times = settings.most_refunds.get(verdict.scope) if is_served else None
    most = [-1 if times is None else times * usage.rate.limit for usage in verdict.usages]
    try:
        _store().run(scripts.REFUND, [*counters, *map(refunds_key, counters)], *most)
    except StoreUnavailable:
        logger.warning("A place of scope %s could not be given back.", verdict.scope)


def refunds_key(counter: str) -> str:
    """Name what counts a counter's refunds."""
    return f"{counter}:refunds"


def counter_cache() -> CounterCache:
    """Get the cache that counts: the one that ``RATELIMIT_USE_CACHE`` names, else ``default``."""
    alias = getattr(django_settings, "RATELIMIT_USE_CACHE", "default")
    cache = caches[alias]
    if not isinstance(cache, CounterCache):
        path = f"{type(cache).__module__}.{type(cache).__qualname__}"
        raise ConfigurationError(
            f"CACHES[{alias!r}] is {path}, which does not count exactly across processes."
        )
    return cache


@remembered()
def _store() -> Store:
    return counter_cache().store


@dataclass(frozen=True, slots=True)
class Counter:
    """One rate's counter for one subject, in the window that ends with second ``ends_at``."""

    rate: Rate
    key: str
    streak_key: str
    life_milliseconds: int
    ends_at: int

    def reset_seconds(self, now: int) -> int:
        """Return the seconds until the next window; the last second still counts in this one."""
        return self.ends_at - now + 1


def _count(policy: Policy, subject: Subject) -> Verdict:
    now = int(time.time())
    counters = counters_of(policy, subject, now)
    if not counters:
        return Verdict(policy.scope, subject.endpoint)
    keys = [counter.key for counter in counters]
    keys += [counter.streak_key for counter in counters]
    numbers = [policy.longest_wait_seconds]
    for counter in counters:
        numbers += counter.rate.limit, counter.life_milliseconds, counter.reset_seconds(now)
    refusing, wait, refusals, *counts = _store().run(scripts.COUNT_REQUEST, keys, *numbers)
    return Verdict(
        scope=policy.scope,
        endpoint=subject.endpoint,
        usages=tuple(
            Usage(counter.rate, counter.key, count, counter.reset_seconds(now))
            for counter, count in zip(counters, counts, strict=True)
        ),
        refused_by=counters[refusing - 1].rate if refusing else None,
        retry_after_seconds=wait,
        refusals=refusals,
    )


def counters_of(policy: Policy, subject: Subject, now: int) -> list[Counter]:
    """Name the counters that a check of this subject reads and writes."""
    return [
        counter
        for rate in policy.rates
        if (value := subject.value(rate)) and (counter := _counter(policy.scope, rate, value, now))
    ]


def _counter(scope: str, rate: Rate, value: str, now: int) -> Counter | None:
    """Get the subject's counter; it stays the same while its window lasts, so it is remembered."""
    remembered = _remembered()
    name = (scope, rate, value)
    known = remembered.get(name)
    if known is not None and known.ends_at - rate.period_seconds < now <= known.ends_at:
        return known
    counter = _named_by_django_ratelimit(scope, rate, value, now)
    if counter is not None:
        remembered[name] = counter
        if len(remembered) > MOST_REMEMBERED:
            remembered.popitem(last=False)
    return counter


@remembered()
def _remembered() -> OrderedDict[tuple[str, Rate, str], Counter]:
    return OrderedDict()


def _named_by_django_ratelimit(scope: str, rate: Rate, value: str, now: int) -> Counter | None:
    """Let it lay the window and name the counter; ``None`` where ``RATELIMIT_ENABLE`` is off."""
    with counter_cache().plan() as planned:
        usage = get_usage(
            None,  # the value is known already, and the request decides nothing else
            group=f"{scope}|",
            key=lambda group, request: value,  # noqa: ARG005 - django-ratelimit's signature
            rate=rate.text,
            increment=True,
        )
    if usage is None:
        return None
    key, life_milliseconds = planned[0]
    return Counter(
        rate=rate,
        key=key,
        streak_key=f"{key.rpartition(':')[0]}:again:{scope}:{rate.text}:{value}",
        life_milliseconds=life_milliseconds,
        ends_at=now + int(usage["time_left"]),
    )


def _without_store(policy: Policy, subject: Subject, failure: StoreUnavailable) -> Verdict:
    if outages.begin(now=time.monotonic()):
        logger.error("The store of the counters is lost: %s", failure.detail)
        security_events.emit(
            events.STORE_LOST,
            data={"scope": policy.scope, "cause": failure.detail},
        )
    if policy.goes_on_uncounted:
        return Verdict(policy.scope, subject.endpoint)
    seconds = math.ceil(_store().breaker.retry_in_seconds(now=time.monotonic()))
    raise LimiterUnavailable(
        "Requests of this kind are refused while they cannot be counted. Try again shortly.",
        retry_after_seconds=max(1, seconds),
    ) from failure


def _emit_recovery() -> None:
    logger.warning("The store of the counters answers again.")
    try:
        security_events.emit(events.STORE_RECOVERED)
    except EventNotRecorded:
        logger.exception("The recovery of the store could not be recorded.")


def _emit_refusal(verdict: Verdict, policy: Policy) -> None:
    n = verdict.refusals
    if n > EVERY_REFUSAL_UP_TO and n & (n - 1):
        return
    rate = verdict.refused_by
    security_events.emit(
        events.REQUEST_REFUSED,
        # A refused guess at an account weighs more than one read too many.
        severity=Severity.MEDIUM if policy.needs_account else Severity.LOW,
        data={
            "scope": verdict.scope,
            "endpoint": verdict.endpoint,
            "rate": rate.label if rate else "",
            "refusals": n,
            "retry_after_seconds": verdict.retry_after_seconds,
        },
    )
