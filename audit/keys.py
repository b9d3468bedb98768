"""Keys that sort by time: UUIDs of version 7 (RFC 9562 §5.7), made of an event's own instant.

The key is the order: the newest event has the greatest key, a span of time is a span of keys, and
a page begins where the last one ended. So one index, the primary key's, serves all three, and rows
arrive at its right edge. Instants differ down to the microsecond (RFC 9562 §6.2, method 3);
within one, 62 random bits decide.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import models
from django.utils import timezone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LATEST_MILLISECOND = (1 << 48) - 1  # the year 10889
RANDOM_BITS = 62


def _prefix(at: datetime) -> int:
    """Lay out 48 bits of milliseconds, the version, 12 bits below the millisecond, the variant."""
    microseconds = max((at - EPOCH) // MICROSECOND, 0)
    milliseconds, below = divmod(microseconds, 1000)
    milliseconds = min(milliseconds, LATEST_MILLISECOND)
    return (milliseconds << 80) | (7 << 76) | ((below * 4096 // 1000) << 64) | (2 << 62)


def key_of(at: datetime, entropy: uuid.UUID) -> uuid.UUID:
    """Return the key of the event that happened at that instant.

    ``entropy`` is a random UUID of the event; its last 62 bits become the key's, so that the same
    event always gets the same key and is never stored twice.
    """
    return uuid.UUID(int=_prefix(at) | (entropy.int & ((1 << RANDOM_BITS) - 1)))


def least_key(at: datetime) -> uuid.UUID:
    """Return the least key of an instant: the keys from it on are what happened then or later."""
    return uuid.UUID(int=_prefix(at))


def instant_of(key: uuid.UUID) -> datetime:
    """Return the instant of a key, to the millisecond below it."""
    return EPOCH + timedelta(milliseconds=key.int >> 80)


class TimeOrderedKey(models.UUIDField):  # type: ignore[type-arg]  # generic only in the stubs
    """A primary key made from the row's own ``at`` when the row is first stored."""

    def get_pk_value_on_save(self, instance: Any) -> uuid.UUID:
        """Make the key; asked by ``save()`` and ``bulk_create()`` where none was given."""
        return key_of(instance.at or timezone.now(), uuid.uuid4())
