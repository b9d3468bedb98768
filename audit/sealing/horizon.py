"""How far back the sealer must look: events become visible when they commit, not when they happen.

A transaction may stay open for hours and then show an event that is older than thousands of sealed
ones. So the sealer always looks again from ``settled_at`` on, and ``settled_at`` moves only when
nothing can appear before it any more. PostgreSQL tells: every transaction that was open at one time
has ended once the oldest open one has a higher number than our own transaction had then. SQLite
has one writer, and whoever holds its lock sees everything.

What remains is an event that is *inserted* later than it happened: a refusal waits for the end of
its request, a clock is behind. :data:`GRACE` covers the usual, :func:`audit.tasks.seal_late` the
rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.backends.base.base import BaseDatabaseWrapper

    from audit.models import SealedUntil

GRACE = timedelta(seconds=60)  # how much later than it happened an event may be inserted
MOVED_BY = timedelta(seconds=5)  # the mark is written no oftener

# Not pg_snapshot_xmax: that is one beyond the newest transaction that has *ended*, and those that
# are open may have higher numbers. Ours is higher than that of whoever wrote before it.
_OLDEST_AND_OURS = (
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text, pg_current_xact_id()::text"
)


@dataclass(frozen=True, slots=True)
class Transactions:
    """The number of the oldest transaction that is open, and our own."""

    oldest: int
    ours: int

    def is_open(self, number: int) -> bool:
        """Return whether any transaction up to that number may be open, beside our own."""
        return self.oldest <= number and self.oldest != self.ours


def transactions(connection: BaseDatabaseWrapper) -> Transactions | None:
    """Query PostgreSQL; ``None`` where nothing is ever open beside the one who asks."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST_AND_OURS)
        oldest, ours = cursor.fetchone()
    return Transactions(int(oldest), int(ours))


def settles(mark: SealedUntil, running: Transactions | None) -> datetime | None:
    """Return up to when nothing more can appear, if everything visible now gets sealed."""
    if mark.waiting_at is None:
        return None
    if running and running.is_open(mark.waiting_for or 0):
        return None
    return mark.waiting_at - GRACE


def wait_anew(mark: SealedUntil, running: Transactions | None, now: datetime) -> bool:
    """Begin to wait for those who are open now, unless somebody is waited for; tell whether so."""
    is_stray = bool(running and (mark.waiting_for or 0) > running.ours)  # of another server's count
    if mark.waiting_at and not is_stray and settles(mark, running) is None:
        return False
    mark.waiting_at, mark.waiting_for = now, running.ours if running else None
    return True


def begins_at(settled_at: datetime | None, now: datetime) -> datetime | None:
    """Return from when on to look; a mark that lies in the future is not believed."""
    return min(settled_at, now - GRACE) if settled_at else None
