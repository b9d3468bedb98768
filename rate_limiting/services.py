"""The verbs of an operator: let somebody start over."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from garrison import events as security_events
from rate_limiting import events, limiter
from rate_limiting.endpoints import endpoints
from rate_limiting.policy import policy_for, scopes

if TYPE_CHECKING:
    from rate_limiting.subject import Subject


PERSONAL = frozenset({"user", "account", "address"})  # whoever starts over, the site does not


def reset(*, subject: Subject) -> int:
    """Forget what is counted in the present windows under the parts that the subject has.

    Gives the number of counters there were. A rate that counts by a part the subject lacks (an
    account's places are counted by account *and* address) is left alone, and so is a custom key.
    Raises :class:`~rate_limiting.errors.StoreUnavailable` while the store is down.
    """
    keys = sorted(_keys(subject))
    forgotten = int(limiter.counter_cache().store.call("DEL", *keys)) if keys else 0
    if forgotten:
        security_events.emit(events.LIMIT_RESET, data={"counters": forgotten})
    return forgotten


def _keys(subject: Subject) -> set[str]:
    now, known = int(time.time()), set(endpoints())
    keys: set[str] = set()
    for scope in scopes():
        for name in {name for name, its_scope in known if its_scope == scope} or {""}:
            asked = replace(subject, endpoint=name)
            for counter in limiter.counters_of(policy_for(scope), asked, now):
                if PERSONAL & set(counter.rate.key):
                    keys |= {counter.key, counter.streak_key, limiter.refunds_key(counter.key)}
    return keys
