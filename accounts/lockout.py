"""Lockout that is decided before a password is hashed.

Whoever wants a password checked first takes a place in a bucket, by one statement that decides in
the row itself; with five places, a hundred guesses at the same time reach the hasher at most five
times. A success gives the places back, a failure leaves them taken, and the failure that took the
last place locks the bucket: 15 minutes, then 30, 60 … up to a day.

Counting is by the *name* that was typed, so an account that does not exist locks like one that
does, and nobody learns from a lock which of them it was. The statements must commit at once: do not
call them inside a transaction that a refusal would roll back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import connections, router
from django.db.models import F, Q
from django.utils import timezone

from accounts.conf import settings
from accounts.errors import LockedOut
from accounts.login_name import acceptable, fingerprint
from accounts.models import LockoutBucket
from accounts.models.lockout_bucket import ACCOUNT, ADDRESS
from garrison.client_ip import bucket as address_bucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ELSEWHERE = "elsewhere"  # any device the account has not been used on; the only kind so far
SHORTEST_WAIT_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Bucket:
    """A key and how many places it has within the window."""

    key: str
    places: int


@dataclass(frozen=True, slots=True)
class Place:
    """A place that was taken: the ``number``-th of ``places``, after ``locks`` locks in a row."""

    key: str
    number: int
    places: int
    locks: int

    @property
    def is_last(self) -> bool:
        """Return whether nobody else gets a place after this one."""
        return self.number >= self.places

    @property
    def is_account(self) -> bool:
        """Return whether it is in an account's bucket, and not in an address's."""
        return self.key.startswith(ACCOUNT)

    @property
    def is_after_failures(self) -> bool:
        """Return whether the bucket remembers other attempts or an earlier lock."""
        return self.number > 1 or self.locks > 0


def account_key(login_name: str, *, device: str = ELSEWHERE) -> str:
    """Name an account's bucket; the name itself is not in it (see ``fingerprint``)."""
    return f"{ACCOUNT}{fingerprint(login_name)}:{device}"


def address_key(ip: str) -> str:
    """Name an address's bucket: IPv4 whole, IPv6 by its /64."""
    return f"{ADDRESS}{address_bucket(ip)}"


def buckets_for(*, login_name: str, ip: str | None) -> list[Bucket]:
    """Return the buckets an attempt needs a place in, the account's first.

    A name that no account can have has no bucket, lest the table fill with rubbish; an address that
    is not known has none, lest everybody share it.
    """
    found = []
    if acceptable(login_name):
        found.append(Bucket(account_key(login_name), settings.lockout_failures))
    if ip:
        found.append(Bucket(address_key(ip), settings.lockout_address_failures))
    return found


def lock_length(*, locks: int) -> timedelta:
    """Return how long the next lock lasts after so many in a row: doubling, up to the longest.

    >>> [lock_length(locks=n).total_seconds() / 60 for n in (0, 1, 2, 40)]
    [15.0, 30.0, 60.0, 1440.0]
    """
    doubled = settings.lockout_seconds * 2 ** min(locks, 32)
    return timedelta(seconds=min(doubled, settings.lockout_max_seconds))


# Both databases read these alike (PostgreSQL; SQLite from 3.35), and lock the rows in the order
# given, so that no two attempts deadlock. A row is over when its window has passed or its lock has
# ended; then counting begins anew in the same statement. Where the condition does not hold, nothing
# is written and no row comes back: the place was refused.
_COLUMNS = "(key, places, taken, window_started_at, locked_until, locks, user_id)"
_OVER = "(bucket.window_started_at <= %s OR bucket.locked_until > bucket.window_started_at)"
_TAKE = """
INSERT INTO {table} AS bucket {columns} VALUES {rows}
ON CONFLICT (key) DO UPDATE SET
    places = excluded.places,
    taken = CASE WHEN {over} THEN 1 ELSE bucket.taken + 1 END,
    window_started_at = CASE
        WHEN {over} THEN excluded.window_started_at ELSE bucket.window_started_at END,
    locks = CASE WHEN bucket.locked_until <= %s THEN 0 ELSE bucket.locks END
WHERE (bucket.locked_until IS NULL OR bucket.locked_until <= excluded.window_started_at)
    AND ({over} OR bucket.taken < excluded.places)
RETURNING key, places, taken, locks
"""
_CLEAR = """
INSERT INTO {table} AS bucket {columns} VALUES {rows}
ON CONFLICT (key) DO UPDATE SET
    taken = CASE WHEN bucket.key = %s OR bucket.taken < 1 THEN 0 ELSE bucket.taken - 1 END,
    locks = CASE WHEN bucket.key = %s THEN 0 ELSE bucket.locks END,
    locked_until = CASE WHEN bucket.key = %s THEN NULL ELSE bucket.locked_until END
RETURNING key, places, taken, locks
"""


def take_places(
    *, buckets: Sequence[Bucket], now: datetime, window: timedelta | None = None
) -> list[Place]:
    """Take a place in each bucket, or in none; one statement.

    Raises :class:`~accounts.errors.LockedOut` with the longest wait where one refuses.
    """
    if not buckets:
        return []
    window = window or timedelta(seconds=settings.lockout_window_seconds)
    places = _take(buckets, now=now, window=window)
    refused = {bucket.key for bucket in buckets} - {place.key for place in places}
    if refused:
        give_back(places=places)
        raise LockedOut(retry_after_seconds=_wait_seconds(refused, now=now))
    return places


def _take(buckets: Sequence[Bucket], *, now: datetime, window: timedelta) -> list[Place]:
    over, forgiven = now - window, now - timedelta(seconds=settings.lockout_max_seconds)
    rows = [(bucket.key, bucket.places, 1) for bucket in buckets]
    return _upsert(_TAKE, rows=rows, now=now, values=[over, over, forgiven, over])


def _upsert(
    statement: str, *, rows: Sequence[tuple[str, int, int]], now: datetime, values: Sequence[Any]
) -> list[Place]:
    """Run one of the two statements; a row is (key, places, taken)."""
    alias = router.db_for_write(LockoutBucket)
    connection = connections[alias]
    sql = statement.format(
        table=connection.ops.quote_name(LockoutBucket._meta.db_table),
        columns=_COLUMNS,
        rows=", ".join(["(%s, %s, %s, %s, NULL, 0, NULL)"] * len(rows)),
        over=_OVER,
    )
    as_stored = connection.ops.adapt_datetimefield_value
    said = [part for row in rows for part in (*row, now)] + list(values)
    params = [as_stored(part) if isinstance(part, datetime) else part for part in said]
    found = LockoutBucket.objects.using(alias).raw(sql, params)
    return [Place(row.key, row.taken, row.places, row.locks) for row in found]


def _wait_seconds(keys: Iterable[str], *, now: datetime) -> int:
    """Get how long the locks last. Places that are only being used are free again in a moment."""
    locked = LockoutBucket.objects.filter(key__in=keys).locked(now=now)
    ends = locked.values_list("locked_until", flat=True).first()
    if ends is None:
        return SHORTEST_WAIT_SECONDS
    return max(SHORTEST_WAIT_SECONDS, math.ceil((ends - now).total_seconds()))


def give_back(*, places: Sequence[Place]) -> None:
    """Free the places again: what was to be checked was not, or another bucket refused it."""
    for place in places:
        LockoutBucket.objects.filter(key=place.key, taken__gt=0).update(taken=F("taken") - 1)


def clear(*, places: Sequence[Place]) -> None:
    """Forget the account's failures, because its password was just proved; one statement.

    The address gets its own place back and no more: else whoever owns one account could wash away
    the failures of guessing at others.
    """
    account = next((place.key for place in places if place.is_account), "")
    rows = [(place.key, place.places, 0) for place in places]
    if rows:
        _upsert(_CLEAR, rows=rows, now=timezone.now(), values=[account] * 3)


def lock(*, place: Place, user_id: Any, now: datetime) -> datetime | None:
    """Lock the bucket whose last place this failure took; give until when, or ``None``.

    One conditional statement; of several that try, one locks.
    """
    if not place.is_last:
        return None
    until = now + lock_length(locks=place.locks)
    unlocked = Q(locked_until__isnull=True) | Q(locked_until__lte=now)
    full = LockoutBucket.objects.filter(unlocked, key=place.key, taken__gte=F("places"))
    did_lock = full.update(locked_until=until, locks=F("locks") + 1, user_id=user_id)
    return until if did_lock else None


def is_locked(*, key: str, now: datetime) -> bool:
    """Return whether the bucket refuses at this moment."""
    return LockoutBucket.objects.filter(key=key).locked(now=now).exists()


def forget(*, keys: Iterable[str]) -> int:
    """Remove the buckets, and with them failures, lock and the memory of earlier locks."""
    deleted, _ = LockoutBucket.objects.filter(key__in=list(keys)).delete()
    return deleted
