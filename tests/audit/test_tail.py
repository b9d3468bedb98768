"""The stream of events: in sealed order, without a gap, at least once."""

import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from audit import tail as stream
from audit.errors import CursorLost, ReaderOvertaken
from audit.models import Checkpoint, EventReader, EventSeal, SecurityEvent
from audit.sealing import loop, sealer
from audit.tail import START, Cursor, cursor_of, follow, move, newest, tail
from garrison.errors import ConfigurationError
from garrison.events import emit
from tests.architecture.house import ROOT
from tests.audit.attacks import execute, sealed
from tests.audit.happenings import DONE, REFUSED, happened
from tests.other_processes import environment

NOW = timezone.now()


@pytest.fixture
def ten(db):
    """Ten sealed events; an eleventh reports the key, and has no seal yet."""
    return sealed(NOW - timedelta(minutes=20 - n) for n in range(10))


def numbers(events):
    return [event.seal.seq for event in events]


def test_events_come_in_sealed_order_from_the_oldest_or_from_a_cursor(ten):
    events = list(tail())
    assert [event.pk for event in events] == [event.pk for event in ten]
    assert numbers(events) == list(range(1, 11))
    assert numbers(tail(after=cursor_of(events[6]))) == [8, 9, 10]
    assert list(tail(after=newest())) == []


def test_what_is_not_sealed_is_not_there_yet_and_comes_behind_what_was_read(ten):
    place = newest()
    (late,) = happened([NOW - timedelta(minutes=30)])  # as a long transaction shows at its end
    assert list(tail(after=place)) == []
    sealer.catch_up(now=timezone.now(), since=NOW - timedelta(hours=1))
    assert late.pk in [event.pk for event in tail(after=place)]


def test_one_name_instead_of_a_collection_is_refused_and_no_reader_passes_over_events(ten):
    with pytest.raises(ConfigurationError, match="a collection"):
        follow(reader="one", kinds=DONE.name, handle=lambda _: None)
    assert EventReader.objects.get().seq == 0


def test_a_reader_does_not_change_its_stream_unnoticed(ten):
    follow(reader="one", handle=lambda _: None)
    with pytest.raises(ConfigurationError, match="'one' reads 'main'"):
        follow(reader="one", stream="other", handle=lambda _: None)


def test_a_chain_that_is_replaced_while_a_reader_is_at_it_is_noticed(ten, monkeypatch):
    monkeypatch.setattr(stream, "BATCH", 5)
    seen = []

    def handle(event):
        seen.append(event.seal.seq)
        if event.seal.seq == 5:  # a restored backup brings another sixth
            execute("UPDATE audit_eventseal SET prev = %s WHERE seq = 6", bytes(32))

    with pytest.raises(CursorLost, match="is not the one that was read"):
        follow(reader="one", handle=handle)
    assert seen == [1, 2, 3, 4, 5]


def test_kinds_are_chosen_by_name_and_each_batch_costs_two_statements(
    ten, monkeypatch, django_assert_num_queries
):
    sealed([NOW], kind=REFUSED.name)
    monkeypatch.setattr(stream, "BATCH", 5)
    with django_assert_num_queries(7):  # the anchor; three batches of seals and of events
        found = list(tail(kinds=[REFUSED.name]))
        assert [(event.kind, event.seal.seq) for event in found] == [(REFUSED.name, 11)]


def test_a_kind_that_nobody_declares_is_refused_with_the_likeliest(ten):
    with pytest.raises(ConfigurationError, match=r"Did you mean .*tests\.door\.refused"):
        list(tail(kinds=["tests.door.refsued"]))
    assert list(tail(kinds=["elsewhere.door.opened"])) == []  # an app that is not installed


def test_each_stream_is_read_for_itself(ten):
    sealed([NOW, NOW], stream="side")
    assert numbers(tail(after=Cursor(stream="side"))) == [1, 2]


def test_a_cursor_is_one_word_and_nothing_else_is_one(ten):
    cursor = cursor_of(next(tail()))
    assert Cursor.parse(str(cursor)) == cursor
    assert Cursor.parse(str(START)) == START
    for wrong in ("", "main", "main:x:00", "main:1:xyz"):
        with pytest.raises(CursorLost, match="no cursor"):
            Cursor.parse(wrong)


def prune(up_to):
    """Remove the oldest as retention does: an anchor first, then the rows."""
    last = EventSeal.objects.get(seq=up_to)
    Checkpoint.objects.create(
        purpose=Checkpoint.ANCHOR, stream="main", seq=up_to, mac=last.mac, count=0, at=NOW
    )
    execute("DELETE FROM audit_securityevent WHERE id <= %s", _key(last.event_id))
    execute("DELETE FROM audit_eventseal WHERE seq <= %s", up_to)


def _key(key):
    return key if connection.vendor == "postgresql" else key.hex


def test_what_retention_removed_is_told_to_whoever_has_not_read_it(ten):
    events = list(tail())
    prune(4)
    with pytest.raises(CursorLost, match="up to number 4, and only up to 2"):
        list(tail(after=cursor_of(events[1])))
    assert numbers(tail(after=cursor_of(events[3])))[:2] == [5, 6]
    assert numbers(tail())[:2] == [5, 6]


def test_another_history_under_the_same_numbers_is_told(ten):
    place = cursor_of(list(tail())[-1])
    execute("DELETE FROM audit_eventseal WHERE seq > 7")  # as after restoring a backup
    with pytest.raises(CursorLost, match="backup was restored"):
        list(tail(after=place))
    happened([NOW, NOW])
    sealer.catch_up(now=timezone.now(), since=NOW - timedelta(hours=1))
    assert EventSeal.objects.filter(seq=place.seq).exists()
    with pytest.raises(CursorLost, match="not the one that was read"):
        list(tail(after=place))


def test_a_gap_is_told_and_never_passed_over(ten):
    execute("DELETE FROM audit_eventseal WHERE seq = 5")
    with pytest.raises(CursorLost, match="audit_verify"):
        list(tail())


def test_a_reader_goes_on_where_it_stopped(ten):
    seen = []
    assert follow(reader="one", handle=seen.append) == 10
    assert follow(reader="one", handle=seen.append) == 0
    sealed([NOW])
    follow(reader="one", handle=seen.append)
    assert numbers(seen) == list(range(1, 13))
    assert follow(reader="two", handle=lambda _: None) == 12


def test_a_batch_whose_handling_failed_comes_again(ten, monkeypatch):
    monkeypatch.setattr(stream, "BATCH", 4)
    seen = []

    def handle(event):
        seen.append(event.seal.seq)
        if seen == [1, 2, 3, 4, 5, 6]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        follow(reader="one", handle=handle)
    follow(reader="one", handle=handle)
    assert seen == [1, 2, 3, 4, 5, 6, 5, 6, 7, 8, 9, 10]


def test_a_reader_that_is_behind_retention_stops_until_it_is_moved(ten):
    follow(reader="one", handle=lambda _: None)
    sealed([NOW] * 5)
    prune(13)
    with pytest.raises(CursorLost):
        follow(reader="one", handle=lambda _: None)
    move(reader="one", to=START)
    seen = []
    follow(reader="one", handle=seen.append)
    assert numbers(seen) == [14, 15, 16]
    assert str(EventReader.objects.get()) == "one behind main 16"


@pytest.mark.postgresql
def test_two_processes_under_one_name_never_both_advance(protected):
    sealed(NOW - timedelta(minutes=20 - n) for n in range(10))
    both_have_read, raised = threading.Barrier(2), []

    def read():
        try:
            follow(
                reader="one",
                handle=lambda event: both_have_read.wait(10) if event.seal.seq == 10 else None,
            )
        except ReaderOvertaken as refusal:
            raised.append(refusal)
        finally:
            connection.close()

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(raised) == 1
    assert EventReader.objects.get().seq == 10


def emitting(stop, number):
    """Emit without pause, some of it inside transactions that commit later than they began."""
    count = 0
    while not stop.is_set():
        with transaction.atomic():
            emit(DONE, target=f"{number}:{count}")
            emit(REFUSED)
            time.sleep(0.005 * (count % 4))
        count += 1
    connection.close()


@pytest.mark.slow
@pytest.mark.postgresql
def test_a_detector_that_is_killed_five_times_under_load_sees_every_event_in_order(
    protected, settings, tmp_path
):
    settings.AUDIT_SEAL_SECONDS = 0.05
    seen, stop = tmp_path / "seen", threading.Event()
    seen.touch()
    work = [threading.Thread(target=emitting, args=(stop, n)) for n in range(3)]
    work.append(threading.Thread(target=loop.keep_sealing, args=(stop,)))
    for thread in work:
        thread.start()
    for _ in range(5):
        detector = start_detector(seen)
        before = len(seen.read_text().splitlines())
        wait_for(lambda before=before: len(seen.read_text().splitlines()) > before + 40)
        detector.send_signal(signal.SIGKILL)
        assert detector.wait() == -signal.SIGKILL
    stop.set()
    for thread in work:
        thread.join()
    sealer.catch_up(now=timezone.now(), since=NOW)
    detector = start_detector(seen)
    opened = SecurityEvent.objects.filter(kind=DONE.name).order_by("seal__seq")
    expected = [
        f"{event.seal.seq} {event.kind} {event.pk}" for event in opened.select_related("seal")
    ]
    wait_for(lambda: seen.read_text().endswith(f"{expected[-1]}\n"))
    detector.kill()
    detector.wait()
    _, *runs = seen.read_text().split("start\n")
    assert len(runs) == 6
    follows = 0
    for run in runs:
        lines = run.splitlines()
        first = expected.index(lines[0])
        assert first <= follows  # no gap between two lives
        assert lines == expected[first : first + len(lines)]  # and in order, without one
        follows = first + len(lines)
    assert follows == len(expected) > 200


def start_detector(seen):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.audit.detector", str(seen)], cwd=ROOT, env=environment()
    )


def wait_for(is_so, seconds=30):
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.02)
