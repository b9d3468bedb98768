"""The Django cache whose counters cost one round trip."""

from __future__ import annotations

from django.core.cache.backends.redis import RedisCache


class CounterCache(RedisCache):
    """Django's cache over Valkey or Redis."""
