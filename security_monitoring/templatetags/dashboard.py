"""``{% load dashboard %}``: what a panel's template is made of; see docs/panels.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import template
from django.template.defaultfilters import truncatechars
from django.utils import timezone
from django.utils.html import format_html

from garrison.events import Severity
from security_monitoring import charts, dashboard

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.utils.safestring import SafeString

register = template.Library()

# Unit, from how many seconds on it is used, and how many it has.
UNITS = (("d", 2 * 86_400, 86_400), ("h", 3_600, 3_600), ("min", 60, 60))


@register.inclusion_tag("security_monitoring/dashboard.html", takes_context=True)
def security_dashboard(context: template.Context) -> dict[str, Any]:
    """Draw the dashboard of the page's request: its window, tiles and panels."""
    dashboard.keep_up()
    return dashboard.build(context["request"])


@register.inclusion_tag("security_monitoring/chart.html")
def stacked_bars(chart: charts.Chart) -> dict[str, Any]:
    """Draw a bar chart with its axis, its legend, and its numbers as a table."""
    totals = [sum(series["values"]) for series in chart["series"]]
    rows = zip(chart["starts"], *(series["values"] for series in chart["series"]), strict=True)
    return {
        "chart": chart,
        "plot": charts.stacked_bars(chart),
        "ticks": charts.value_ticks(charts.top_of(chart)),
        "legend": list(zip(chart["series"], totals, strict=True)),
        "rows": [row for row in rows if any(row[1:])][::-1],
    }


@register.simple_tag
def sparkline(values: Sequence[int], label: str) -> SafeString:
    """Draw a small line."""
    return charts.sparkline(values, label)


@register.simple_tag
def severity(value: int) -> SafeString:
    """Return the badge of a severity; a number that is none is shown as it is."""
    try:
        known = Severity(value)
    except ValueError:
        return badge(str(value))
    return badge(known.name.capitalize(), known.name.lower())


@register.simple_tag
def badge(text: str, tone: str = "neutral") -> SafeString:
    """Return a badge; an unknown tone is neutral."""
    return format_html('<span class="sd-badge sd-is-{}">{}</span>', charts.known_tone(tone), text)


@register.simple_tag
def instant(at: datetime | None) -> SafeString | str:
    """Return ``<time>``: how long ago in words, and exactly for machines and on hover."""
    if at is None:
        return "never"
    local = timezone.localtime(at)
    return format_html(
        '<time class="sd-time" datetime="{}" title="{}">{}</time>',
        at.isoformat(timespec="seconds"),
        f"{local:%Y-%m-%d %H:%M:%S %Z}",
        _ago(at),
    )


def _ago(at: datetime) -> str:
    seconds = int((timezone.now() - at).total_seconds())
    form = "in {}" if seconds < 0 else "{} ago"
    for unit, least, length in UNITS:
        if abs(seconds) >= least:
            return form.format(f"{abs(seconds) // length} {unit}")
    return "just now"


@register.inclusion_tag("security_monitoring/empty.html")
def empty(sentence: str, hint: str = "") -> dict[str, str]:
    """Show that there is nothing, and what to do or expect."""
    return {"sentence": sentence, "hint": hint}


@register.filter
def grouped(number: float | None) -> str:
    """Write a number in groups of three; none is a dash."""
    return "–" if number is None else f"{number:,}"  # noqa: RUF001 - the dash of tables


@register.filter
def clipped(text: object, longest: int) -> SafeString | str:
    """Cut a text, and show the whole on hover."""
    whole = str(text)
    if len(whole) <= longest:
        return whole
    return format_html('<span title="{}">{}</span>', whole, truncatechars(whole, longest))
