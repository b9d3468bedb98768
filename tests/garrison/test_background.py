"""Work after the answer: with the request's context, bounded, and never raising."""

import threading
import time

import pytest

from garrison import background, context
from garrison.context import RequestContext

pytestmark = pytest.mark.usefixtures("real_background")


def finished(job):
    """Run a job in the background and wait for its end."""
    done = threading.Event()

    def wrapped():
        try:
            job()
        finally:
            done.set()

    background.run(wrapped)
    assert done.wait(10)


def happens(condition):
    """Wait up to ten seconds for what another thread is about to do."""
    until = time.monotonic() + 10
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def test_a_job_has_the_context_of_its_request():
    seen = []
    with context.bound(RequestContext(request_id="r1", ip="203.0.113.9")):
        finished(lambda: seen.append((context.current().request_id, threading.get_ident())))
    ((request_id, thread),) = seen
    assert request_id == "r1"
    assert thread != threading.get_ident()


def test_a_job_that_fails_is_logged_and_the_next_one_runs(caplog):
    def fail():
        raise RuntimeError

    finished(fail)
    seen = []
    finished(lambda: seen.append(1))
    assert seen == [1]
    assert happens(lambda: "A job failed" in caplog.text)


def test_a_flood_is_dropped_and_not_kept_in_memory(monkeypatch, caplog):
    monkeypatch.setattr(background, "_waiting", threading.BoundedSemaphore(2))
    gate, ran = threading.Event(), []

    def job():
        gate.wait(10)
        ran.append(1)

    for _ in range(5):
        background.run(job)
    gate.set()
    assert happens(lambda: ran == [1, 1])
    assert caplog.text.count("dropped") == 3
