"""RTO and RPO over time as SVG made here: attributes only, so it stands under a strict CSP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.html import format_html, format_html_join

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.utils.safestring import SafeString

    from backups.models import Drill

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 120, 56, 20


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the chart: a label, and a value for each drill, with how it is written."""

    label: str
    values: list[float]
    written: list[str]


def duration(seconds: float) -> str:
    """Write a duration for people.

    >>> duration(4.2), duration(300), duration(9000), duration(200000)
    ('4.2 s', '5 min', '2.5 h', '2.31 d')
    """
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86_400:.3g} d"


def rto_and_rpo(drills: Sequence[Drill]) -> SafeString:
    """Draw both, each with its own scale, over the drills given (oldest first)."""
    done = [d for d in drills if d.rto_seconds is not None and d.rpo_seconds is not None]
    lines = [
        _line("RTO: seconds to a checked restore", [d.rto_seconds or 0.0 for d in done]),
        _line("RPO: age of the restored data", [d.rpo_seconds or 0.0 for d in done]),
    ]
    when = [f"{timezone.localtime(d.queued_at):%Y-%m-%d}" for d in done]
    return format_html_join("", "{}", ((_figure(line, when),) for line in lines))


def _line(label: str, values: list[float]) -> Line:
    return Line(label, values, [duration(value) for value in values])


def _figure(line: Line, when: list[str]) -> SafeString:
    if not line.values:
        return format_html("<p>{}: no drill has been done yet.</p>", line.label)
    top = max(line.values) or 1.0
    points = [(_x(n, len(line.values)), _y(value, top)) for n, value in enumerate(line.values)]
    dots = format_html_join(
        "",
        '<circle cx="{}" cy="{}" r="3" fill="currentColor"><title>{}: {}</title></circle>',
        ((x, y, day, text) for (x, y), day, text in zip(points, when, line.written, strict=True)),
    )
    return format_html(
        '<figure><figcaption>{}</figcaption><svg viewBox="0 0 {} {}" width="{}" height="{}" '
        'role="img" aria-label="{}">{}<polyline fill="none" stroke="currentColor" '
        'stroke-width="2" points="{}"/>{}</svg></figure>',
        line.label,
        WIDTH,
        HEIGHT,
        WIDTH,
        HEIGHT,
        f"{line.label}, newest {line.written[-1]}",
        _axes(duration(top), when),
        " ".join(f"{x},{y}" for x, y in points),
        dots,
    )


def _axes(top: str, when: list[str]) -> SafeString:
    floor = HEIGHT - BOTTOM
    return format_html(
        '<g fill="currentColor" font-size="11" opacity="0.7">'
        '<text x="0" y="14">{}</text><text x="0" y="{}">0</text>'
        '<text x="{}" y="{}">{}</text><text x="{}" y="{}" text-anchor="end">{}</text></g>'
        '<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="currentColor" opacity="0.3"/>',
        top, floor, LEFT, HEIGHT - 4, when[0], WIDTH - 4, HEIGHT - 4, when[-1],
        LEFT, floor, WIDTH, floor,
    )  # fmt: skip


def _x(place: int, count: int) -> float:
    span = WIDTH - LEFT - 10
    return round(LEFT + (span * place / (count - 1) if count > 1 else span / 2), 1)


def _y(value: float, top: float) -> float:
    return round((HEIGHT - BOTTOM) - (HEIGHT - BOTTOM - 10) * value / top, 1)
