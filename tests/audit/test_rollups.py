"""Counting: exact, bounded, repeatable, and by one at a time."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit import counts, rollups
from audit.models import CountedUntil, EventCount, SecurityEvent
from garrison import panels
from garrison.events import Outcome, Severity
from tests.audit.happenings import NOON, happened

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def minutes():
    rows = EventCount.objects.filter(period=EventCount.MINUTE).order_by("starts_at", "kind")
    return [(row.starts_at, row.kind, row.count) for row in rows]


@pytest.mark.django_db
def test_only_closed_minutes_are_counted():
    happened([NOON - timedelta(seconds=1), NOON, NOON + timedelta(seconds=59)])
    rollups.catch_up(now=NOON + timedelta(seconds=59))
    assert minutes() == [(NOON - MINUTE, "tests.door.opened", 1)]
    rollups.catch_up(now=NOON + MINUTE)
    assert minutes()[1:] == [(NOON, "tests.door.opened", 2)]


@pytest.mark.django_db
def test_counting_twice_changes_nothing():
    happened(NOON + MINUTE * n for n in range(90))
    rollups.catch_up(now=NOON + HOUR * 2)
    before = list(EventCount.objects.order_by("pk").values())
    rollups.count_up(now=NOON + HOUR * 2)
    rollups.recount(start=NOON, end=NOON + HOUR * 2)
    assert list(EventCount.objects.order_by("pk").values()) == before
    assert len(before) == 90 + 2


@pytest.mark.django_db
def test_an_event_that_becomes_visible_late_is_counted_all_the_same():
    happened([NOON])
    rollups.catch_up(now=NOON + MINUTE * 10)
    happened([NOON + MINUTE])  # its transaction was open for nine minutes
    rollups.catch_up(now=NOON + MINUTE * 11)
    assert minutes() == [(NOON + MINUTE * n, "tests.door.opened", 1) for n in (0, 1)]


@pytest.mark.django_db
def test_an_event_that_becomes_visible_very_late_is_counted_by_the_nightly_recount():
    rollups.catch_up(now=NOON + HOUR * 5)
    happened([NOON])
    rollups.catch_up(now=NOON + HOUR * 6)
    assert minutes() == []
    rollups.recount(start=NOON - HOUR * 24, end=NOON + HOUR * 6)
    assert minutes() == [(NOON, "tests.door.opened", 1)]


@pytest.mark.django_db
def test_a_step_is_bounded_and_a_crowded_minute_is_still_whole():
    happened(NOON + timedelta(milliseconds=n) for n in range(30))
    happened([NOON + MINUTE * 7, NOON + MINUTE * 8])
    steps = 0
    while not rollups.count_up(now=NOON + HOUR, most_rows=10):
        steps += 1
    assert steps >= 1
    assert [count for *_, count in minutes()] == [30, 1, 1]
    assert rollups.counted_until() == NOON + HOUR


@pytest.mark.django_db
def test_minutes_are_forgotten_after_a_month_and_hours_are_kept():
    happened([NOON])
    rollups.catch_up(now=NOON + HOUR)
    rollups.recount(start=NOON, end=NOON + HOUR)
    assert EventCount.objects.count() == 2
    later = NOON + timedelta(days=40)
    rollups.catch_up(now=later)
    rollups.recount(start=later - HOUR, end=later)
    assert [row.period for row in EventCount.objects.all()] == [EventCount.HOUR]


@pytest.mark.parametrize("slug", ["1h", "24h", "7d", "30d"])
@pytest.mark.django_db
def test_counted_and_uncounted_together_are_exact(slug):
    window = panels.window(slug, now=NOON + timedelta(seconds=30))
    inside = [window.end - (window.end - window.start) * n / 50 for n in range(1, 50)]
    happened(inside)
    happened([window.start - timedelta(days=1), window.end], kind="tests.door.outside")
    rollups.catch_up(now=NOON - MINUTE * 2)
    happened([NOON - MINUTE, NOON + timedelta(seconds=29)], severity=Severity.CRITICAL)
    counted = counts.counted(window)
    assert counted.total(kinds=frozenset({"tests.door.outside"})) == 0
    assert counted.total(severity=Severity.CRITICAL) == 2
    assert counted.total() == len(inside) + 2
    assert sum(counted.series()) == counted.total()
    assert counted.is_complete


@pytest.mark.django_db
def test_steps_begin_at_full_steps_of_the_clock_and_cover_the_window():
    counted = counts.counted(panels.window("24h", now=NOON + MINUTE * 7))
    assert counted.starts[0] == NOON - HOUR * 24
    assert counted.starts[-1] == NOON
    assert len(counted.starts) == 49


@pytest.mark.django_db
def test_too_many_uncounted_events_are_admitted_and_not_all_read(monkeypatch):
    monkeypatch.setattr(counts, "MOST_UNCOUNTED", 5)
    happened(NOON + timedelta(seconds=n) for n in range(9))
    counted = counts.counted(panels.window("1h", now=NOON + MINUTE))
    assert (counted.is_complete, counted.total()) == (False, 6)


@pytest.mark.django_db
def test_a_chart_has_a_value_for_each_step_and_series():
    happened([NOON], severity=Severity.HIGH, outcome=Outcome.REFUSED)
    counted = counts.counted(panels.window("1h", now=NOON + MINUTE))
    chart = counted.chart(
        "All", {("High", "high"): {"severity": 4}, ("None", "info"): {"kinds": frozenset()}}
    )
    assert [sum(series["values"]) for series in chart["series"]] == [1, 0]
    assert {len(series["values"]) for series in chart["series"]} == {len(chart["starts"])}


@pytest.mark.django_db
def test_equal_questions_are_asked_once_while_remembering(django_assert_num_queries):
    window = panels.window("24h", now=NOON)
    with counts.remembering(), django_assert_num_queries(3):
        assert counts.counted(window) is counts.counted(window)
    with django_assert_num_queries(6):
        counts.counted(window)
        counts.counted(window)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seconds=st.lists(st.integers(0, 3 * 3600), max_size=40),
    stops=st.lists(st.integers(0, 3 * 3600), max_size=6),
    most_rows=st.integers(1, 12),
)
@pytest.mark.django_db
def test_whenever_it_is_counted_every_event_is_counted_once(seconds, stops, most_rows, db):
    with transaction.atomic():
        happened(NOON + timedelta(seconds=s) for s in seconds)
        for stop in sorted(stops):
            rollups.count_up(now=NOON + timedelta(seconds=stop), most_rows=most_rows)
        counted = counts.counted(panels.window("24h", now=NOON + HOUR * 4))
        assert counted.total() == len(seconds)
        rollups.catch_up(now=NOON + HOUR * 4)
        for period in (EventCount.MINUTE, EventCount.HOUR):
            assert sum(e.count for e in EventCount.objects.filter(period=period)) == len(seconds)
        transaction.set_rollback(True)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_many_counting_at_once_count_each_event_once():
    happened(NOON + timedelta(seconds=n) for n in range(600))
    barrier = threading.Barrier(8)
    failures = []

    def count():
        barrier.wait()
        try:
            for _ in range(5):
                rollups.count_up(now=NOON + HOUR, most_rows=100)
        except Exception as failure:  # noqa: BLE001 - told by the assertion below
            failures.append(failure)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rollups.catch_up(now=NOON + HOUR)
    assert failures == []
    assert sum(count for *_, count in minutes()) == SecurityEvent.objects.count() == 600
    assert CountedUntil.objects.count() == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_who_finds_somebody_counting_leaves_it_to_them():
    happened([NOON])
    rollups.count_up(now=NOON)
    elsewhere = connection.copy()
    try:
        elsewhere.set_autocommit(False)
        with elsewhere.cursor() as cursor:
            cursor.execute("SELECT * FROM audit_counteduntil FOR UPDATE")
        assert rollups.count_up(now=NOON + HOUR) is True
    finally:
        elsewhere.rollback()
        elsewhere.close()
    assert minutes() == []


@pytest.mark.django_db
def test_a_viewer_counts_where_nobody_else_does():
    happened([NOON])
    rollups.keep_up(now=NOON + HOUR)
    assert rollups.counted_until() == NOON + HOUR
    rollups.keep_up(now=NOON + HOUR + rollups.BEHIND / 2)
    assert rollups.counted_until() == NOON + HOUR
