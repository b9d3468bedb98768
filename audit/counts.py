"""How often things happened: answers from what is counted, and from the little that is not yet.

Exact to the second, and as dear with ten million events as with ten: the counts of
:mod:`audit.rollups` for all closed minutes, and the events themselves only for what came after.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import Func, IntegerField, Q, Sum

from audit.models import EventCount, SecurityEvent
from audit.rollups import HOUR, MINUTE, WHAT, counted_until, floored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime, timedelta

    from garrison.panels import Window

MOST_UNCOUNTED = 20_000  # events read beside the counts


@dataclass(frozen=True, slots=True)
class Row:
    """So many events of one sort in one step of a window; ``bucket`` is the step's number."""

    bucket: int
    kind: str
    severity: int
    outcome: str
    count: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What happened in a window, in steps that begin at full steps of the clock.

    The count begins at the full minute at or before the window's start, at the full hour where
    steps are hours. ``is_complete`` is false where more events await counting than may be read.
    """

    starts: list[datetime]
    step: timedelta
    rows: list[Row]
    is_complete: bool

    def total(self, **wanted: Any) -> int:
        """Add up the rows that match; see :func:`_matches` for what can be asked."""
        return sum(row.count for row in self.rows if _matches(row, **wanted))

    def series(self, **wanted: Any) -> list[int]:
        """Return one number for each step, of the rows that match."""
        values = [0] * len(self.starts)
        first = _bucket(self.starts[0], self.step)
        for row in self.rows:
            if _matches(row, **wanted) and 0 <= row.bucket - first < len(values):
                values[row.bucket - first] += row.count
        return values

    def chart(
        self, title: str, series: Mapping[tuple[str, str], Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Lay out a chart for the dashboard: ``{(label, tone): what to count}``, bottom up."""
        return {
            "title": title,
            "starts": self.starts,
            "step": self.step,
            "series": [
                {"label": label, "tone": tone, "values": self.series(**wanted)}
                for (label, tone), wanted in series.items()
            ],
        }


def _matches(
    row: Row,
    *,
    kinds: frozenset[str] | None = None,
    severity: int | None = None,
) -> bool:
    return (kinds is None or row.kind in kinds) and (severity is None or row.severity == severity)


_remembered: ContextVar[dict[Window, Counted] | None] = ContextVar("audit_counted", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Answer equal questions inside the block once, so that panels may ask freely."""
    token = _remembered.set({})
    try:
        yield
    finally:
        _remembered.reset(token)


def counted(window: Window) -> Counted:
    """Return what happened in the window: three queries, whatever the tables hold."""
    remembered = _remembered.get()
    if remembered is None:
        return _counted(window)
    if window not in remembered:
        remembered[window] = _counted(window)
    return remembered[window]


def _counted(window: Window) -> Counted:
    uses_hours = window.step >= HOUR
    start = floored(window.start, HOUR if uses_hours else MINUTE)
    until = max(counted_until() or start, start)
    uncounted = _uncounted(until, window)
    return Counted(
        starts=_steps(start, window.end, window.step),
        step=window.step,
        rows=[*_stored(start, until, window.step, uses_hours=uses_hours), *uncounted],
        is_complete=len(uncounted) <= MOST_UNCOUNTED,
    )


def _stored(
    start: datetime, until: datetime, step: timedelta, *, uses_hours: bool
) -> Iterator[Row]:
    hours_end = max(floored(until, HOUR), start) if uses_hours else start
    spans = Q(period=EventCount.HOUR, starts_at__gte=start, starts_at__lt=hours_end)
    spans |= Q(period=EventCount.MINUTE, starts_at__gte=hours_end, starts_at__lt=until)
    groups = EventCount.objects.filter(spans).values_list(Bucket("starts_at", step=step), *WHAT)
    counted: Iterable[Any] = groups.annotate(how_many=Sum("count"))
    return (Row(*group) for group in counted)


def _uncounted(until: datetime, window: Window) -> list[Row]:
    events = SecurityEvent.objects.since(until).before(window.end).order_by("pk")
    newest = events.values_list("at", *WHAT)[: MOST_UNCOUNTED + 1]
    return [
        Row(_bucket(at, window.step), kind, severity, outcome, 1)
        for at, kind, severity, outcome in newest
    ]


def _steps(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    first = floored(start, step)
    return [first + step * n for n in range(-((first - end) // step))]


def _bucket(at: datetime, step: timedelta) -> int:
    return int(at.timestamp() // step.total_seconds())


class Bucket(Func):
    """The number of the step an instant falls into, counted from 1970."""

    template = "CAST(FLOOR(EXTRACT(EPOCH FROM %(expressions)s) / %(seconds)s) AS bigint)"
    output_field: ClassVar[IntegerField[int, int]] = IntegerField()

    def __init__(self, expression: str, *, step: timedelta) -> None:
        """Fix the step; whole seconds."""
        super().__init__(expression, seconds=int(step.total_seconds()))

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Use SQLite's own clock function."""
        template = "unixepoch(%(expressions)s) / %(seconds)s"
        return self.as_sql(compiler, connection, template=template, **context)
