"""When scheduled work is due, and how durations are written: pure arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

SKEW = timedelta(hours=1)  # by which two clocks may differ; a stamp further ahead is a mistake


def latest_daily(*, now: datetime, hour: int, zone: tzinfo) -> datetime:
    """Return the latest instant at or before ``now`` at which the clock in ``zone`` said ``hour``.

    A day on which that hour does not exist (a clock put forward) gets the instant at which it would
    have been; one on which it comes twice gets the first. So each day has exactly one slot.

    >>> from zoneinfo import ZoneInfo
    >>> utc = UTC
    >>> latest_daily(now=datetime(2026, 3, 1, 1, 59, tzinfo=utc), hour=2, zone=utc).isoformat()
    '2026-02-28T02:00:00+00:00'
    >>> berlin = ZoneInfo("Europe/Berlin")
    >>> latest_daily(now=datetime(2026, 3, 29, 9, tzinfo=utc), hour=2, zone=berlin).isoformat()
    '2026-03-29T01:00:00+00:00'
    """
    day = now.astimezone(zone).date()
    while True:
        slot = datetime(day.year, day.month, day.day, hour, tzinfo=zone).astimezone(UTC)
        if slot <= now:
            return slot
        day -= timedelta(days=1)


def latest_weekly(*, now: datetime, weekday: int, hour: int, zone: tzinfo) -> datetime:
    """Return the latest such instant on a given weekday (0 is Monday).

    >>> utc = UTC
    >>> now = datetime(2026, 11, 24, tzinfo=utc)
    >>> latest_weekly(now=now, weekday=6, hour=4, zone=utc).isoformat()
    '2026-11-22T04:00:00+00:00'
    """
    slot = latest_daily(now=now, hour=hour, zone=zone)
    while slot.astimezone(zone).weekday() != weekday:
        slot = latest_daily(now=slot - timedelta(minutes=1), hour=hour, zone=zone)
    return slot


def duration(seconds: float | None) -> str:
    """Write a duration for people; none is a dash.

    >>> duration(4.2), duration(300), duration(9000), duration(200000)
    ('4.2 s', '5 min', '2.5 h', '2.31 d')
    """
    if seconds is None:
        return "–"  # noqa: RUF001 - the dash of tables
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86_400:.3g} d"
