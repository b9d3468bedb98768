"""Valkey really stopped, under load: sign-ins get their documented answer, reads go on."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from django.test import Client

from audit.models import SecurityEvent
from garrison import health
from rate_limiting import events

pytestmark = pytest.mark.urls("tests.rate_limiting.urls")


@pytest.fixture(autouse=True)
def _limits(settings, own_cache):
    settings.RATE_LIMITS = {"auth": ["1000000/h"], "api": ["1000000/h"]}
    settings.RATE_LIMITING_FACTOR = 1


def timed(call):
    started = time.perf_counter()
    answer = call()
    return answer, time.perf_counter() - started


def sign_in(client):
    body = {"email": "ana@example.com", "password": "right"}
    return client.post("/api/login", body, "application/json")


def wait_for(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "It did not happen in time."
        time.sleep(0.05)


def test_a_sign_in_is_refused_with_a_code_and_a_time(client, own_valkey):
    own_valkey.stop()
    answer, seconds = timed(lambda: sign_in(client))
    assert seconds < 1
    assert answer.status_code == 503
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "rate_limiter_unavailable"
    assert answer.json()["request_id"] == answer["X-Request-ID"]
    assert 1 <= int(answer["Retry-After"]) <= 5


def test_a_read_goes_on_uncounted(client, own_valkey):
    own_valkey.stop()
    answer, seconds = timed(lambda: client.get("/api/read"))
    assert answer.status_code == 200
    assert seconds < 1
    assert "RateLimit" not in answer


def test_the_admin_s_sign_in_is_refused_on_a_page(client, own_valkey):
    own_valkey.stop()
    answer = client.post(
        "/admin/login/", {"username": "a", "password": "b"}, headers={"Accept": "text/html"}
    )
    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert "could not be counted" in answer.content.decode()


def test_a_host_may_decide_otherwise(client, own_valkey, settings):
    settings.RATE_LIMITING_ON_STORE_FAILURE = {"auth": "allow", "api": "refuse"}
    own_valkey.stop()
    assert sign_in(client).status_code == 200
    assert client.get("/api/read").status_code == 503


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("hurt", ["stop", "hang"])
def test_under_load_all_is_answered_in_time_and_recovers_by_itself(own_valkey, hurt):
    """Eight clients go on asking while the server goes away and comes back."""
    stopped = threading.Event()
    answers = []

    def load(number):
        client = Client(raise_request_exception=False)
        ask = (lambda: sign_in(client)) if number % 2 else (lambda: client.get("/api/read"))
        while not stopped.is_set():
            at = time.monotonic()
            answer, seconds = timed(ask)
            answers.append((at, number % 2, answer.status_code, seconds))
            time.sleep(0.01)  # all clients share one interpreter: its queue is not the subject
        connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(load, number) for number in range(8)]
        wait_for(lambda: len(answers) > 80)
        before = len(answers)
        getattr(own_valkey, hurt)()
        hurt_at = time.monotonic()
        wait_for(lambda: sum(code == 503 for _, _, code, _ in answers) > 20)
        time.sleep(0.3)
        healed_at = time.monotonic()
        own_valkey.start() if hurt == "stop" else own_valkey.wake()
        wait_for(lambda: [code for _, is_auth, code, _ in answers if is_auth][-8:] == [200] * 8)
        recovered_at = time.monotonic()
        stopped.set()
        for future in running:
            future.result()

    assert {code for _, _, code, _ in answers[:before]} == {200}
    reads = [code for _, is_auth, code, _ in answers if not is_auth]
    sign_ins = [code for _, is_auth, code, _ in answers if is_auth]
    assert set(reads) == {200}
    assert set(sign_ins) == {200, 503}
    # Beside what a busy machine makes of any request, nobody waits a second for the lost store.
    usual = max(seconds for _, _, _, seconds in answers[:before])
    slow = sorted((round(s, 2), c) for at, _, c, s in answers if at >= hurt_at)[-5:]
    assert slow[-1][0] < 1 + usual, slow
    assert recovered_at - healed_at < 6
    kinds = list(SecurityEvent.objects.values_list("kind", flat=True))
    assert kinds.count(events.STORE_LOST.name) == 1
    assert kinds.count(events.STORE_RECOVERED.name) == 1


def test_the_health_report_says_so_and_takes_nobody_offline(own_valkey):
    def found():
        return next(r for r in health.run() if r.name == "rate limits")

    assert found().status is not health.Status.UNHEALTHY
    assert "ms" in found().detail
    own_valkey.stop()
    assert found().status is health.Status.UNHEALTHY
    serving = [r.name for r in health.run(only_needed_to_serve=True)]
    assert "rate limits" not in serving
