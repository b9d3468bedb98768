"""Lockout that is decided before a password is hashed.

Whoever wants a password checked reserves an attempt in a bucket first, by one statement that
decides in the row itself; of a hundred guesses at the same time, five reach the hasher. A sign-in
that is complete clears its reservations, a failure leaves them taken, and so does a sign-in that
stands half-done; the failure that took the last one locks the bucket: 15 minutes, then 30, 60 … up
to a day.

Counting is by the *name* that was typed, so an account that does not exist locks like one that
does, and nobody learns from a lock which of them it was. The statements must commit at once: do not
call them inside a transaction that a refusal would roll back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from django.db import connections, router
from django.db.models import F, Q
from django.utils import timezone

from accounts.conf import settings
from accounts.errors import LockedOut
from accounts.login_name import acceptable, fingerprint
from accounts.models import LockoutBucket, PendingSignIn
from accounts.models.lockout_bucket import ACCOUNT, ADDRESS, SITE
from garrison.client_ip import bucket as address_bucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from accounts.models.lockout_bucket import LockoutBucketQuerySet

ELSEWHERE = "elsewhere"  # any device that the account does not trust
SHORTEST_WAIT_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Bucket:
    """A key and how many attempts may be reserved in it within the window."""

    key: str
    places: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """The ``number``-th of ``places`` in the window that began then, after ``locks`` in a row."""

    key: str
    number: int
    places: int
    locks: int
    window_started_at: datetime

    @property
    def is_last(self) -> bool:
        """Return whether nobody else can reserve after this one."""
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
    """Name an account's bucket; the name itself is not in it (see ``fingerprint``).

    ``device`` is a trusted device's id, or a session's: what fails there fills no other bucket.
    """
    return f"{ACCOUNT}{fingerprint(login_name)}:{device}"


def account_buckets(login_name: str) -> LockoutBucketQuerySet:
    """Return every bucket of an account: of strangers, and of each device."""
    return LockoutBucket.objects.filter(key__startswith=account_key(login_name, device=""))


def address_key(ip: str) -> str:
    """Name an address's bucket: IPv4 whole, IPv6 by its /64."""
    return f"{ADDRESS}{address_bucket(ip)}"


def buckets_for(*, login_name: str, ip: str | None, device: str = ELSEWHERE) -> list[Bucket]:
    """Return the buckets that count an attempt, the account's first.

    On a device that is the account's own, that is the one: no stranger can fill it, and neither the
    address nor the site counts it. A name that no account can have has no bucket of its own, lest
    the table fill with rubbish; an address that is not known has none, lest everybody share it.
    """
    found = []
    if acceptable(login_name):
        found.append(Bucket(account_key(login_name, device=device), settings.lockout_failures))
    if device != ELSEWHERE:
        return found
    if ip:
        found.append(Bucket(address_key(ip), settings.lockout_address_failures))
    return [*found, Bucket(SITE, settings.lockout_site_failures)]


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
# is written and no row comes back: the reservation was refused.
_COLUMNS = "(key, places, taken, window_started_at, locked_until, locks, user_id)"
_OVER = "(bucket.window_started_at <= %(over)s OR bucket.locked_until > bucket.window_started_at)"
_RESERVE = """
INSERT INTO {table} AS bucket {columns} VALUES {rows}
ON CONFLICT (key) DO UPDATE SET
    places = excluded.places,
    taken = CASE WHEN {over} THEN 1 ELSE bucket.taken + 1 END,
    window_started_at = CASE
        WHEN {over} THEN excluded.window_started_at ELSE bucket.window_started_at END,
    locks = CASE WHEN bucket.locked_until <= %(forgiven)s THEN 0 ELSE bucket.locks END
WHERE (bucket.locked_until IS NULL OR bucket.locked_until <= excluded.window_started_at)
    AND ({over} OR bucket.taken < excluded.places)
RETURNING key, places, taken, locks, window_started_at
"""
# What the account's bucket keeps are other sign-ins that stand half-done. The address's window may
# have begun anew since the reservation: then there is nothing of it left to release.
_CLEAR = """
INSERT INTO {table} AS bucket {columns} VALUES {rows}
ON CONFLICT (key) DO UPDATE SET
    taken = CASE
        WHEN bucket.key = %(account)s THEN (
            SELECT COUNT(*) FROM {pending} AS pending
            WHERE pending.bucket = %(account)s AND pending.expires_at > %(now)s)
        WHEN bucket.window_started_at = excluded.window_started_at AND bucket.taken > 0
            THEN bucket.taken - 1
        ELSE bucket.taken END,
    locks = CASE WHEN bucket.key = %(account)s THEN 0 ELSE bucket.locks END,
    locked_until = CASE WHEN bucket.key = %(account)s THEN NULL ELSE bucket.locked_until END
RETURNING key, places, taken, locks, window_started_at
"""


def reserve(
    *, buckets: Sequence[Bucket], now: datetime, window: timedelta | None = None
) -> list[Reservation]:
    """Reserve an attempt in each bucket, or in none; one statement.

    Raises :class:`~accounts.errors.LockedOut` with the longest wait where one refuses.
    """
    if not buckets:
        return []
    values = {
        "over": now - (window or timedelta(seconds=settings.lockout_window_seconds)),
        "forgiven": now - timedelta(seconds=settings.lockout_max_seconds),
    }
    rows = [(bucket.key, bucket.places, 1, now) for bucket in buckets]
    reservations = _upsert(_RESERVE, rows=rows, values=values)
    refused = {bucket.key for bucket in buckets} - {made.key for made in reservations}
    if refused:
        release(reservations=reservations, now=now)
        until = _refused_until(refused, now=now)
        seconds = math.ceil((until - now).total_seconds()) if until else SHORTEST_WAIT_SECONDS
        raise LockedOut(retry_after_seconds=max(SHORTEST_WAIT_SECONDS, seconds), until=until)
    return reservations


def _upsert(
    statement: str, *, rows: Sequence[tuple[Any, ...]], values: dict[str, Any]
) -> list[Reservation]:
    """Run one of the two statements; a row is (key, places, taken, beginning of the window)."""
    alias = router.db_for_write(LockoutBucket)
    quote = connections[alias].ops.quote_name
    names = [[f"row_{n}_{column}" for column in range(4)] for n in range(len(rows))]
    sql = statement.format(
        table=quote(LockoutBucket._meta.db_table),
        pending=quote(PendingSignIn._meta.db_table),
        columns=_COLUMNS,
        rows=", ".join(
            "({}, NULL, 0, NULL)".format(", ".join(f"%({name})s" for name in row)) for row in names
        ),
        over=_OVER,
    )
    named = dict(zip(chain(*names), chain(*rows), strict=True))
    found = LockoutBucket.objects.using(alias).raw(sql, values | named)
    return [
        Reservation(row.key, row.taken, row.places, row.locks, row.window_started_at)
        for row in found
    ]


def _refused_until(keys: Iterable[str], *, now: datetime) -> datetime | None:
    """Return when the locks end, or the places that half-done sign-ins hold are free.

    ``None`` where they are only reserved: they are free again in a moment.
    """
    refused = LockoutBucket.objects.filter(key__in=keys)
    window = timedelta(seconds=settings.lockout_window_seconds)
    ends = refused.locked(now=now).values_list("locked_until", flat=True).first()
    if ends is not None:
        return ends
    held = PendingSignIn.objects.filter(bucket__in=keys, expires_at__gt=now - window)
    if not held.exists():
        return None
    return max(began + window for began in refused.values_list("window_started_at", flat=True))


def release(*, reservations: Sequence[Reservation], now: datetime | None = None) -> None:
    """Release what was reserved: nothing was compared, or another bucket refused it.

    One statement, in the order in which all lock these rows.
    """
    if reservations:
        rows = [(made.key, made.places, 0, made.window_started_at) for made in reservations]
        _upsert(_CLEAR, rows=rows, values={"account": "", "now": now or timezone.now()})


def clear(*, reservations: Sequence[Reservation], now: datetime) -> None:
    """Forget the account's failures and lock, because a sign-in is complete; one statement.

    Other sign-ins of the account that stand half-done stay counted. The address is released this
    one reservation and no more: else whoever owns one account could wash away the failures of
    guessing at others.
    """
    if reservations:
        account = next((made.key for made in reservations if made.is_account), "")
        rows = [(made.key, made.places, 0, made.window_started_at) for made in reservations]
        _upsert(_CLEAR, rows=rows, values={"account": account, "now": now})


def lock(*, reservation: Reservation, user_id: Any, now: datetime) -> datetime | None:
    """Lock the bucket whose last place this failure took; return until when, or ``None``.

    One conditional statement; of several that try, one locks. The site is never locked for longer
    than at first: that would be a stranger's lever against everybody.
    """
    if not reservation.is_last:
        return None
    until = now + lock_length(locks=0 if reservation.key == SITE else reservation.locks)
    unlocked = Q(locked_until__isnull=True) | Q(locked_until__lte=now)
    full = LockoutBucket.objects.filter(unlocked, key=reservation.key, taken__gte=F("places"))
    did_lock = full.update(locked_until=until, locks=F("locks") + 1, user_id=user_id)
    return until if did_lock else None


def is_locked(*, key: str, now: datetime) -> bool:
    """Return whether the bucket refuses at this moment."""
    return LockoutBucket.objects.filter(key=key).locked(now=now).exists()


def forget(*, keys: Iterable[str]) -> int:
    """Remove the buckets, and with them failures, lock and the memory of earlier locks."""
    deleted, _ = LockoutBucket.objects.filter(key__in=list(keys)).delete()
    return deleted
