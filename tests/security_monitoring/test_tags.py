"""What panels' templates are made of."""

from datetime import timedelta

import pytest
from django.template import Context, Template
from django.utils import timezone

from garrison.events import Severity


def rendered(source, **context):
    return Template("{% load dashboard %}" + source).render(Context(context))


@pytest.mark.parametrize("severity", list(Severity))
def test_each_severity_has_its_badge(severity):
    badge = rendered("{% severity value %}", value=int(severity))
    assert f"sd-is-{severity.name.lower()}" in badge
    assert severity.name.capitalize() in badge


def test_what_is_no_severity_or_tone_is_shown_neutrally():
    assert rendered("{% severity 9 %}") == '<span class="sd-badge sd-is-neutral">9</span>'
    assert "sd-is-neutral" in rendered("{% badge 'x' tone %}", tone='"><b>')


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(seconds=61), "1 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(hours=47), "47 h ago"),
        (timedelta(days=12), "12 d ago"),
        (timedelta(minutes=-9, seconds=-5), "in 9 min"),
    ],
)
def test_an_instant_is_told_in_words_and_exactly(ago, text):
    at = timezone.now() - ago
    shown = rendered("{% instant at %}", at=at)
    assert f">{text}</time>" in shown
    assert f'datetime="{at.isoformat(timespec="seconds")}"' in shown
    assert f"{at:%Y-%m-%d %H:%M:%S} UTC" in shown


def test_no_instant_is_never():
    assert rendered("{% instant at %}", at=None) == "never"


def test_numbers_are_grouped_and_texts_clipped():
    assert rendered("{{ n|grouped }}", n=1234567) == "1,234,567"
    assert rendered("{{ n|grouped }}", n=None) == "–"  # noqa: RUF001 - the dash of tables
    assert rendered("{{ t|clipped:5 }}", t="short") == "short"
    assert (
        rendered("{{ t|clipped:5 }}", t="<b>long")
        == '<span title="&lt;b&gt;long">&lt;b&gt;l…</span>'
    )
    assert rendered("{{ t|clipped:50 }}", t="<b>") == "&lt;b&gt;"


def test_emptiness_says_what_to_do():
    shown = rendered("{% empty 'Nothing.' 'Wait.' %}")
    assert "Nothing." in shown
    assert "Wait." in shown


def test_a_chart_brings_its_axis_legend_and_numbers():
    start = timezone.now()
    chart = {
        "title": "Events",
        "starts": [start, start + timedelta(hours=1)],
        "step": timedelta(hours=1),
        "series": [{"label": "High", "tone": "high", "values": [0, 7]}],
    }
    shown = rendered("{% stacked_bars chart %}", chart=chart)
    assert '<span class="sd-num">7</span>' in shown
    assert shown.count('<th scope="row">') == 1, "only steps in which something happened"
    assert "<li>10</li>" in shown
