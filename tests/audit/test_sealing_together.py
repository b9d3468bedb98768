"""Sealers beside each other, beside long transactions, killed, frozen and cut off."""

import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from audit.keys import EPOCH
from audit.models import Checkpoint, EventSeal, SecurityEvent
from audit.sealing import loop, sealer
from tests.architecture.house import ROOT
from tests.audit.attacks import looked
from tests.audit.happenings import happened
from tests.other_processes import environment

pytestmark = pytest.mark.postgresql

SECOND = timedelta(seconds=1)


def wait_until(is_so, seconds=20):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def all_sealed():
    return not SecurityEvent.objects.filter(seal__isnull=True).exists()


def in_thread(work):
    """Run in a thread with a connection of its own; gives the thread and what it raised."""
    raised = []

    def run():
        try:
            work()
        except Exception as failure:  # noqa: BLE001 - looked at by the test
            raised.append(failure)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, raised


@pytest.fixture
def sealing(protected):
    """A sealer at work beside the test."""
    stop = threading.Event()
    thread, raised = in_thread(lambda: loop.keep_sealing(stop))
    yield
    stop.set()
    thread.join()
    assert raised == []


def insert_elsewhere(connected, at):
    with connected.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_securityevent SELECT (e).* FROM (SELECT jsonb_populate_record("
            "NULL::audit_securityevent, to_jsonb(s) || "
            "jsonb_build_object('id', %s::text, 'at', %s::text)) e "
            "FROM audit_securityevent s LIMIT 1) x",
            [str(sealer.least_key(at + SECOND / 1000)), at.isoformat()],
        )


def test_an_event_is_found_whose_transaction_commits_after_thousands_of_later_ones(protected):
    began = timezone.now() - timedelta(minutes=30)
    happened([began])
    sealer.catch_up(now=began + SECOND)
    elsewhere = connection.copy()
    elsewhere.set_autocommit(False)
    try:
        insert_elsewhere(elsewhere, began + SECOND * 2)
        for n in range(200):  # half an hour goes by, events come and are sealed
            at = began + SECOND * (10 + 9 * n)
            happened([at])
            sealer.keep_up(now=at + SECOND)
        assert EventSeal.objects.count() == 202
        elsewhere.commit()
    finally:
        elsewhere.close()
    later = itertools.count(31)

    def is_found():
        sealer.keep_up(now=began + timedelta(minutes=next(later)))
        return all_sealed()

    wait_until(is_found, seconds=60)
    (only,) = looked().violations  # the row came by SQL, and no process of ours attested it
    assert only.code == "unattested"


def test_the_mark_goes_on_when_nothing_is_open_any_more(protected):
    began = timezone.now() - timedelta(minutes=30)
    happened([began])
    elsewhere = connection.copy()
    elsewhere.set_autocommit(False)
    try:
        insert_elsewhere(elsewhere, began + SECOND)
        for n in range(5):
            sealer.catch_up(now=began + SECOND * 10 * n)
        assert sealer.SealedUntil.objects.get().settled_at is None
        elsewhere.rollback()
    finally:
        elsewhere.close()
    later = itertools.count(5)

    def goes_on():  # other tests beside this one may have transactions open, too
        sealer.catch_up(now=began + SECOND * 10 * next(later))
        return sealer.SealedUntil.objects.get().settled_at is not None

    wait_until(goes_on, seconds=60)


def test_eight_sealers_at_once_seal_each_event_once(protected):
    now = timezone.now()
    happened(now - SECOND * n for n in range(600))
    barrier = threading.Barrier(8)

    def seal():
        barrier.wait()
        for _ in range(40):
            sealer.catch_up(now=timezone.now(), batch=7)

    started = [in_thread(seal) for _ in range(8)]
    for thread, _ in started:
        thread.join()
    assert [raised for _, raised in started] == [[]] * 8
    sealer.catch_up(now=timezone.now())
    assert all_sealed()
    assert EventSeal.objects.count() == SecurityEvent.objects.count()
    assert looked().verdict == "whole"


def test_writers_and_sealers_together_lose_nothing(sealing):
    def write():
        for _ in range(60):
            happened([timezone.now()])

    started = [in_thread(write) for _ in range(4)]
    for thread, raised in started:
        thread.join()
        assert raised == []
    wait_until(all_sealed)
    assert SecurityEvent.objects.count() >= 241
    report = looked()
    assert (report.verdict == "whole", report.looked_at) == (True, EventSeal.objects.count())


def test_events_are_sealed_within_a_second_or_so(sealing):
    for _ in range(20):
        happened([timezone.now()])
        time.sleep(0.1)
    wait_until(all_sealed)
    lags = [
        (seal.sealed_at - seal.event.at).total_seconds()
        for seal in EventSeal.objects.select_related("event")
    ]
    assert sorted(lags)[len(lags) // 2] < 1.0


def test_a_sealer_whose_connection_is_cut_goes_on(sealing):
    happened([timezone.now()])
    wait_until(all_sealed)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchall()
    happened([timezone.now()])
    wait_until(all_sealed)


def test_a_sealer_that_is_frozen_in_its_transaction_loses_it(protected, monkeypatch):
    sealer.catch_up(now=timezone.now())
    happened([timezone.now()])
    monkeypatch.setattr(sealer, "FROZEN_SECONDS", 1)
    real, frozen, release = sealer.insert, threading.Event(), threading.Event()

    def freeze(seals):
        if threading.current_thread() is not threading.main_thread():
            frozen.set()
            release.wait(20)
        real(seals)

    monkeypatch.setattr(sealer, "insert", freeze)
    thread, raised = in_thread(lambda: sealer.catch_up(now=timezone.now()))
    assert frozen.wait(20)
    assert sealer.catch_up(now=timezone.now()) == 0  # it holds the lock
    assert sealer.is_at_work()
    wait_until(lambda: sealer.catch_up(now=timezone.now()) > 0)
    release.set()
    thread.join()
    assert len(raised) == 1  # too late: its connection is gone, and nothing is sealed twice
    sealer.catch_up(now=timezone.now())
    assert looked().verdict == "whole"


def seal_in_process(*arguments):
    """Start ``audit_seal`` on the database of this test, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "audit_seal", *arguments],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_sealer_that_is_killed_at_any_moment_leaves_a_whole_chain(protected):
    now = timezone.now()
    happened(now - SECOND * (n / 50) for n in range(24_000))
    killed = 0
    for attempt in range(5):
        process = seal_in_process()
        before = EventSeal.objects.count()
        wait_until(lambda before=before: EventSeal.objects.count() > before)
        time.sleep(0.013 * attempt)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        if all_sealed():
            break
    assert killed

    def finish():  # the server may not have noticed yet that the last one is dead
        sealer.catch_up(now=timezone.now(), since=EPOCH)
        return all_sealed()

    wait_until(finish)
    assert looked().violations == []


@pytest.mark.slow
def test_the_command_goes_on_until_it_is_told_to_stop(protected):
    process = seal_in_process("--forever", "--json")
    happened([timezone.now()])
    wait_until(lambda: Checkpoint.objects.exists() and all_sealed(), seconds=30)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert json.loads(out) == {"sealed": 3, "another_at_work": False}
