"""Counting what happened, by the minute and by the hour, so that nobody reads it all.

``count_up`` counts closed minutes, in steps of bounded size, one at a time by a row lock; counting
again changes nothing. A minute is counted again for a quarter of an hour, because an event becomes
visible when its transaction commits and not when it happens; ``recount`` does so for a longer span,
nightly. :mod:`audit.counts` answers from what is counted.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import CharField, Count, Sum, Value
from django.db.models.functions import TruncHour, TruncMinute

from audit.keys import EPOCH
from audit.models import CountedUntil, EventCount, SecurityEvent

if TYPE_CHECKING:
    from django.db.models import Func, QuerySet

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
COUNTED_AGAIN = timedelta(minutes=15)  # how late an event may become visible and be counted
MINUTES_KEPT = timedelta(days=31)  # hours are kept for good: few rows a day
MOST_ROWS = 50_000  # events one step counts, unless a single minute has more
BEHIND = timedelta(minutes=3)  # then a viewer counts a step, because nobody else seems to

WHAT = ("kind", "severity", "outcome")
_KEY = f"period, starts_at, {', '.join(WHAT)}"
_INSERT = f"INSERT INTO audit_eventcount ({_KEY}, count)"
_ON_CONFLICT = f"ON CONFLICT ({_KEY}) DO UPDATE SET count = excluded.count"


def count_up(*, now: datetime, most_rows: int = MOST_ROWS) -> bool:
    """Count the next closed minutes, about ``most_rows`` events; tell whether that was the last.

    Somebody else counting at this moment counts for us: then nothing is done, and the answer is
    yes.
    """
    closed = floored(now, MINUTE)
    with transaction.atomic():
        mark = _take_mark()
        if mark is None:
            return True
        start = mark.at or _first_minute(closed)
        end = _end_of_step(start, closed, most_rows)
        if mark.at is None or end > start:
            _count(start - COUNTED_AGAIN if mark.at else start, end)
            mark.at = end
            mark.save(update_fields=["at"])
    return end >= closed


def catch_up(*, now: datetime) -> None:
    """Count until nothing closed is left uncounted."""
    while not count_up(now=now):
        pass


def keep_up(*, now: datetime) -> None:
    """Count one step where the counts are behind, so that a site without Celery has a dashboard."""
    mark = CountedUntil.objects.filter(at__gt=now - BEHIND)
    if not mark.exists():
        count_up(now=now)


def recount(*, start: datetime, end: datetime) -> None:
    """Count a span again, hour by hour, up to where counting has come; and drop old minutes."""
    at, end = floored(start, HOUR), min(end, counted_until() or end)
    while at < end:
        with transaction.atomic():
            _count(at, min(at + HOUR, floored(end, MINUTE)))
        at += HOUR
    EventCount.objects.filter(
        period=EventCount.MINUTE, starts_at__lt=floored(end, MINUTE) - MINUTES_KEPT
    ).delete()


def counted_until() -> datetime | None:
    """Return up to when events are counted; ``None`` where none ever were."""
    return CountedUntil.objects.values_list("at", flat=True).first()


def _take_mark() -> CountedUntil | None:
    CountedUntil.objects.get_or_create(pk=CountedUntil.THE_ONE)
    return CountedUntil.objects.select_for_update(skip_locked=True).first()


def _first_minute(closed: datetime) -> datetime:
    first = SecurityEvent.objects.order_by("pk").values_list("at", flat=True).first()
    return min(floored(first, MINUTE), closed) if first else closed


def _end_of_step(start: datetime, closed: datetime, most_rows: int) -> datetime:
    beyond = SecurityEvent.objects.since(start).order_by("pk").values_list("at", flat=True)
    at = next(iter(beyond[most_rows : most_rows + 1]), None)
    return min(closed, max(floored(at, MINUTE), start + MINUTE)) if at else closed


def _count(start: datetime, end: datetime) -> None:
    events = SecurityEvent.objects.since(start).before(end).order_by()
    _store(EventCount.MINUTE, events, TruncMinute("at", tzinfo=UTC), Count("pk"))
    minutes = EventCount.objects.filter(
        period=EventCount.MINUTE, starts_at__gte=floored(start, HOUR), starts_at__lt=end
    )
    _store(EventCount.HOUR, minutes, TruncHour("starts_at", tzinfo=UTC), Sum("count"))


def _store(period: str, rows: QuerySet[Any], begins: Func, how_many: Any) -> None:
    """Count inside the database: a million rows become counts in seconds, and none is fetched."""
    of = Value(period, output_field=CharField())
    groups = rows.values_list(of, begins, *WHAT).annotate(how_many=how_many)
    select, parameters = groups.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"{_INSERT} {select} {_ON_CONFLICT}", parameters)


def floored(at: datetime, step: timedelta) -> datetime:
    """Return the full step of the clock, in UTC, at or before an instant."""
    return at - (at - EPOCH) % step
