"""Charts: well-formed, escaped, and sensible for any numbers."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security_monitoring import charts
from security_monitoring.charts import HEIGHT, LEAST_BAR, compact, nice_top

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def chart(*series, step=HOUR, title="Events"):
    count = len(series[0][2]) if series else 0
    return {
        "title": title,
        "starts": [NOON + step * n for n in range(count)],
        "step": step,
        "series": [{"label": la, "tone": tone, "values": values} for la, tone, values in series],
    }


def parsed(svg):
    return ET.fromstring(svg)


def bars(svg):
    return [g.findall("rect")[1:] for g in parsed(svg).findall("g")]


def test_a_bar_is_as_high_as_its_share_of_the_axis():
    svg = charts.stacked_bars(chart(("Info", "info", [5, 10, 0])))
    heights = [[float(r.get("height")) for r in bar] for bar in bars(svg)]
    assert heights == [[79.0], [158.0], []]
    assert [float(r.get("y")) for r in bars(svg)[1]] == [10.0]


def test_series_stand_on_each_other():
    svg = charts.stacked_bars(chart(("Info", "info", [4]), ("High", "high", [4])))
    ((lower, upper),) = bars(svg)
    assert lower.get("class") == "sd-fill-info"
    assert upper.get("class") == "sd-fill-high"
    assert float(upper.get("y")) + float(upper.get("height")) == pytest.approx(
        float(lower.get("y"))
    )


def test_one_event_among_a_million_is_still_seen():
    svg = charts.stacked_bars(chart(("Info", "info", [10**6, 0]), ("Critical", "critical", [0, 1])))
    (only,) = bars(svg)[1]
    assert float(only.get("height")) == LEAST_BAR


def test_nothing_gives_an_empty_frame():
    svg = charts.stacked_bars(chart(("Info", "info", [0, 0])))
    assert bars(svg) == [[], []]
    assert "Events: nothing." in svg


def test_what_is_drawn_is_told_to_those_who_do_not_see_it():
    sentence = charts.summary(chart(("Info", "info", [1, 0]), ("High", "high", [2, 1200])))
    assert sentence == (
        "Events: 1,203 in all, 1 info, 1,202 high; most 24 Nov 13:00 to 14:00: 1,200."
    )
    assert f'aria-label="{sentence}"' in charts.stacked_bars(
        chart(("Info", "info", [1, 0]), ("High", "high", [2, 1200]))
    )


def test_labels_are_escaped_and_unknown_tones_neutral():
    evil = '"><script>alert(1)</script>'
    svg = charts.stacked_bars(chart((evil, '"onload="x', [3]), title=evil))
    assert "<script" not in svg
    assert "onload" not in svg
    assert 'class="sd-fill-neutral"' in svg
    assert evil in parsed(svg).get("aria-label")


def test_no_style_and_no_script_is_ever_written():
    svg = charts.stacked_bars(chart(("Info", "info", [1, 2, 3]))) + charts.sparkline([1, 2], "x")
    assert not re.search(r"<style|style=|<script|\son\w+=", svg)


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=60))
def test_any_numbers_make_a_chart_within_its_frame(values):
    svg = charts.stacked_bars(chart(("Info", "info", values), ("Low", "low", values[::-1])))
    for bar in bars(svg):
        for part in bar:
            assert -LEAST_BAR * 2 <= float(part.get("y")) <= HEIGHT
            assert 0 < float(part.get("height")) <= HEIGHT
            assert 0 <= float(part.get("x").rstrip("%")) < 100


@pytest.mark.parametrize(
    ("greatest", "top"),
    [(0, 1), (1, 1), (2, 2), (3, 4), (5, 5), (6, 10), (10, 10), (11, 20), (39, 40), (51, 100)],
)
def test_the_axis_ends_at_a_round_number(greatest, top):
    assert nice_top(greatest) == top


@given(st.integers(0, 10**18))
def test_the_axis_is_never_too_short_and_never_twice_too_long(greatest):
    top = nice_top(greatest)
    assert max(greatest, 1) <= top <= max(2 * greatest, 1) + 1
    assert 2 <= len(charts.value_ticks(top)) <= 6
    assert all("." not in t.text or t.text[-1] in "kMGT" for t in charts.value_ticks(top))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (999, "999"), (1000, "1k"), (1250, "1.2k"), (34_000, "34k"), (999_900, "1000k"),
        (5_600_000, "5.6M"), (10**9, "1G"), (2 * 10**12, "2T"),
    ],
)  # fmt: skip
def test_large_numbers_are_written_short(number, text):
    assert compact(number) == text


@pytest.mark.parametrize(
    ("step", "count", "first", "texts"),
    [
        (timedelta(minutes=2), 30, NOON, [f"12:{n}0" for n in range(6)]),
        (timedelta(minutes=30), 48, NOON, ["12:00", "16:00", "20:00", "00:00", "04:00", "08:00"]),
        (timedelta(hours=4), 25, NOON, ["25 Nov", "26 Nov", "27 Nov", "28 Nov"]),
        (timedelta(hours=12), 40, NOON, ["25 Nov", "30 Nov", "05 Dec", "10 Dec"]),
    ],
)  # fmt: skip
def test_times_are_labelled_at_round_ones(step, count, first, texts):
    starts = [first + step * n for n in range(count)]
    assert [tick.text for tick in charts.time_ticks(starts, step)] == texts


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/New_York", "Pacific/Chatham"])
def test_days_begin_at_midnight_of_the_sites_own_zone(settings, zone):
    settings.TIME_ZONE = zone
    step = timedelta(hours=4)
    ticks = charts.time_ticks([NOON + step * n for n in range(42)], step)
    assert len(ticks) in {6, 7}
    assert len({tick.text for tick in ticks}) == len(ticks)


def test_labels_at_the_edges_stay_inside():
    svg = parsed(charts.stacked_bars(chart(("Info", "info", [1] * 48), step=HOUR / 2)))
    classes = [text.get("class") for text in svg.findall("text")]
    assert classes == ["sd-tick sd-first", "sd-tick sd-minor", *["sd-tick", "sd-tick sd-minor"] * 2]


def test_a_sparkline_spans_its_frame():
    line = parsed(charts.sparkline([0, 4, 2], "Failures")).find("polyline")
    assert line.get("points") == "0,26 50,2 100,14"
    assert "Failures: nothing." in charts.sparkline([], "Failures")
    assert "0,24" not in charts.sparkline([0], "One")
