"""Charts as SVG, made on the server: no script, no inline style, whatever the numbers are.

Lengths across are percentages and lengths down are pixels, so a chart fills its card at any width
while its text keeps its size. Colours are classes. Every function here is pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

from django.utils import timezone
from django.utils.html import format_html, format_html_join

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.utils.safestring import SafeString

HEIGHT = 168  # pixels of the plot
LABEL_HEIGHT = 20  # pixels below it, for the times
HEADROOM = 10  # pixels above the greatest bar
LEAST_BAR = 2.0  # pixels: one event among thousands is still seen
BAR_SHARE = 0.76  # of the place a bar has
MOST_LABELS = 7.5  # along the bottom of a wide chart
EDGE = 0.045  # of the width: about half a label
TONES = frozenset({"neutral", "good", "info", "low", "medium", "warning", "high", "critical"})


class Series(TypedDict):
    """One colour of a chart: a label, a tone and a number for each bar."""

    label: str
    tone: str
    values: Sequence[int]


class Chart(TypedDict):
    """What a panel hands over; plain data, so that it imports nothing."""

    title: str
    starts: Sequence[datetime]
    step: timedelta
    series: Sequence[Series]


@dataclass(frozen=True, slots=True)
class Tick:
    """A label on an axis: where (share of the axis, 0 to 1), and what it says."""

    at: float
    text: str
    is_minor: bool = False


def stacked_bars(chart: Chart) -> SafeString:
    """Draw the plot: one bar for each start, its series on top of each other, bottom up."""
    totals, top = _totals(chart), top_of(chart)
    bars = [_bar(chart, index, total, top) for index, total in enumerate(totals)]
    return format_html(
        '<svg class="sd-plot" role="img" width="100%" height="{}" aria-label="{}">{}{}{}</svg>',
        HEIGHT + LABEL_HEIGHT,
        summary(chart),
        format_html_join(
            "",
            '<line class="sd-grid" x1="0" x2="100%" y1="{0}" y2="{0}"></line>',
            ((_px(HEIGHT - tick.at * (HEIGHT - HEADROOM)),) for tick in value_ticks(top)),
        ),
        format_html_join("", "{}", ((bar,) for bar in bars)),
        format_html_join(
            "",
            '<text class="{}" x="{}%" y="{}">{}</text>',
            (
                (_tick_class(tick), _px(100 * tick.at), HEIGHT + LABEL_HEIGHT - 5, tick.text)
                for tick in time_ticks(chart["starts"], chart["step"])
            ),
        ),
    )


def _tick_class(tick: Tick) -> str:
    """Keep a label at an edge inside of the frame, and mark those a narrow screen leaves out."""
    side = " sd-first" if tick.at < EDGE else " sd-last" if tick.at > 1 - EDGE else ""
    return f"sd-tick{side}{' sd-minor' if tick.is_minor else ''}"


def summary(chart: Chart) -> str:
    """Describe in a sentence what the chart shows, for those who do not see it."""
    totals = _totals(chart)
    if not sum(totals):
        return f"{chart['title']}: nothing."
    greatest = max(range(len(totals)), key=totals.__getitem__)
    parts = ", ".join(
        f"{sum(series['values']):,} {series['label'].lower()}" for series in chart["series"]
    )
    when = _span_text(chart["starts"][greatest], chart["step"])
    return f"{chart['title']}: {sum(totals):,} in all, {parts}; most {when}: {totals[greatest]:,}."


def _totals(chart: Chart) -> list[int]:
    columns = zip(*(series["values"] for series in chart["series"]), strict=True)
    return [sum(column) for column in columns] or [0] * len(chart["starts"])


def top_of(chart: Chart) -> int:
    """Return the number at the top of the upright axis."""
    return nice_top(max(_totals(chart), default=0))


def _px(length: float) -> str:
    return f"{length:.1f}".removesuffix(".0")


def _bar(chart: Chart, index: int, total: int, top: int) -> SafeString:
    place = 100 / len(chart["starts"])
    left = place * index
    return format_html(
        '<g class="sd-bar"><title>{}</title>'
        '<rect class="sd-hit" x="{}%" y="0" width="{}%" height="{}"></rect>{}</g>',
        _bar_text(chart, index, total),
        _px(left),
        _px(place),
        HEIGHT,
        format_html_join(
            "",
            '<rect class="sd-fill-{}" x="{}%" y="{}" width="{}%" height="{}" rx="1"></rect>',
            (
                (tone, f"{left + place * (1 - BAR_SHARE) / 2:.2f}", _px(y), wide, _px(height))
                for wide in [f"{place * BAR_SHARE:.2f}"]
                for tone, y, height in _segments(chart, index, top)
            ),
        ),
    )


def _segments(chart: Chart, index: int, top: int) -> list[tuple[str, float, float]]:
    """Return tone, upper edge and height of each part of a bar, from the bottom up."""
    segments, floor = [], float(HEIGHT)
    for series in chart["series"]:
        if value := series["values"][index]:
            height = max(value / top * (HEIGHT - HEADROOM), LEAST_BAR)
            floor -= height
            segments.append((known_tone(series["tone"]), floor, height))
    return segments


def known_tone(tone: str) -> str:
    """Return the tone; an unknown one is neutral."""
    return tone if tone in TONES else "neutral"


def _bar_text(chart: Chart, index: int, total: int) -> str:
    when = _span_text(chart["starts"][index], chart["step"])
    parts = [f"{s['label']} {s['values'][index]:,}" for s in chart["series"] if s["values"][index]]
    return f"{when}\n{total:,} in all" + "".join(f"\n{part}" for part in reversed(parts))


def _span_text(start: datetime, step: timedelta) -> str:
    begin, end = timezone.localtime(start), timezone.localtime(start + step)
    return f"{begin:%d %b} {begin:%H:%M} to {end:%H:%M}"


def nice_top(greatest: int) -> int:
    """Return the least of 1, 2, 4, 5, 10, 20, 40, 50, … that is not below the greatest value."""
    if greatest <= 1:
        return max(greatest, 1)
    power = int(10 ** (len(str(greatest - 1)) - 1))
    return next(n * power for n in (1, 2, 4, 5, 10) if n * power >= greatest)


def value_ticks(top: int) -> list[Tick]:
    """Return the labels of the upright axis, from zero up: whole numbers, at most five."""
    steps = 4 if top % 4 == 0 else 5 if top % 5 == 0 else 2 if top % 2 == 0 else 1
    return [Tick(n / steps, compact(top * n // steps)) for n in range(steps + 1)]


def compact(number: int) -> str:
    """Write a number in at most four characters and a letter: 950, 1.2k, 34k, 5.6M."""
    for size, letter in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            shown = number / size
            return (f"{shown:.1f}".removesuffix(".0") if shown < 100 else f"{shown:.0f}") + letter
    return str(number)


def time_ticks(starts: Sequence[datetime], step: timedelta) -> list[Tick]:
    """Return the labels along the bottom: full hours or days in local time, evenly spread."""
    local = [timezone.localtime(start) for start in starts]
    whole_days = step >= timedelta(hours=1)
    every = _every(len(starts), step, whole_days=whole_days)
    marks = [i for i, at in enumerate(local) if _is_mark(at, step, every, whole_days=whole_days)]
    form = "%d %b" if whole_days else "%H:%M"
    return [
        Tick(index / len(starts), local[index].strftime(form), is_minor=nth % 2 == 1)
        for nth, index in enumerate(marks)
    ]


def _every(count: int, step: timedelta, *, whole_days: bool) -> timedelta:
    span = step * count
    days = (1, 2, 5, 7, 14, 30)
    minutes = (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720)
    choices = [timedelta(days=n) for n in days] if whole_days else []
    choices = choices or [timedelta(minutes=n) for n in minutes]
    return next((each for each in choices if span / each <= MOST_LABELS), choices[-1])


def _is_mark(at: datetime, step: timedelta, every: timedelta, *, whole_days: bool) -> bool:
    """Return whether a mark falls into the bar that begins here."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    since = at.replace(tzinfo=None) - midnight
    if whole_days:
        return since < step and midnight.toordinal() % every.days == 0
    return since % every < step


def sparkline(values: Sequence[int], label: str) -> SafeString:
    """Draw a small line without axes; no values give an empty frame."""
    top = max(max(values, default=0), 1)
    last = max(len(values) - 1, 1)
    points = " ".join(
        f"{_px(100 * n / last)},{_px(26 - 24 * value / top)}" for n, value in enumerate(values)
    )
    return format_html(
        '<svg class="sd-spark" role="img" viewBox="0 0 100 28" preserveAspectRatio="none" '
        'aria-label="{}"><polyline points="{}"></polyline></svg>',
        f"{label}: {', '.join(f'{value:,}' for value in values) or 'nothing'}.",
        points,
    )
