from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import time_machine
from django.core.cache import cache

from garrison import events as security_events
from garrison.errors import ConfigurationError
from garrison.events import Severity
from rate_limiting import events
from rate_limiting.errors import RateLimited
from rate_limiting.limiter import EVERY_REFUSAL_UP_TO, count_request, refund
from rate_limiting.subject import Subject

ANA = Subject(address="192.0.2.1", account="ana@example.com", endpoint="login")
BEN = Subject(address="192.0.2.1", account="ben@example.com", endpoint="login")
PERSON = Subject(address="192.0.2.1", user_id="7", endpoint="me")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _limits(settings, clock):
    settings.RATE_LIMITS = {"auth": ["5/15m", "8/15m address"], "api": ["100/15m"], "off": []}
    settings.RATE_LIMITING_FACTOR = 1


@pytest.fixture
def said():
    heard = []

    def hear(*, event, **_):
        heard.append(event)

    security_events.security_event.connect(hear)
    yield heard
    security_events.security_event.disconnect(hear)


def outcomes(subject, times, scope="auth"):
    passed = []
    for _ in range(times):
        try:
            count_request(scope=scope, subject=subject)
        except RateLimited:
            passed.append(False)
        else:
            passed.append(True)
    return passed


def test_the_limit_passes_and_the_next_is_refused():
    assert outcomes(ANA, 7) == [True] * 5 + [False] * 2


def test_another_account_of_the_same_address_goes_on():
    outcomes(ANA, 10)
    assert outcomes(BEN, 3) == [True] * 3


def test_refusals_take_no_place_of_the_wider_rate():
    outcomes(ANA, 100)  # 5 pass; the other 95 must not use up the address
    verdict = count_request(scope="auth", subject=BEN)
    assert [usage.used for usage in verdict.usages] == [1, 6]


def test_the_wider_rate_refuses_what_the_narrow_one_would_pass():
    strangers = [Subject(address="192.0.2.1", account=f"a{n}", endpoint="login") for n in range(9)]
    assert [outcomes(s, 1)[0] for s in strangers] == [True] * 8 + [False]
    with pytest.raises(RateLimited) as refusal:
        count_request(scope="auth", subject=BEN)
    assert refusal.value.verdict.refused_by.key == ("address",)
    assert refusal.value.verdict.usages[0].used == 0


def test_two_endpoints_do_not_eat_one_another_s_places():
    verify = Subject(address=ANA.address, account=ANA.account, endpoint="verify")
    assert outcomes(ANA, 5) == [True] * 5
    assert outcomes(verify, 3) == [True] * 3


def test_a_request_without_an_account_is_counted_by_address_alone():
    verdict = count_request(scope="auth", subject=Subject(address="192.0.2.1", endpoint="login"))
    assert [usage.rate.label for usage in verdict.usages] == ["8/15m address"]


def test_a_check_of_several_rates_is_one_round_trip(sent):
    count_request(scope="auth", subject=BEN)
    sent.clear()
    outcomes(ANA, 7)
    assert sent == ["EVALSHA"] * 7


def test_a_script_the_server_has_forgotten_is_sent_again(sent):
    count_request(scope="api", subject=PERSON)
    cache.store.call("SCRIPT", "FLUSH")
    sent.clear()
    assert count_request(scope="api", subject=PERSON).usages[0].used == 2
    assert sent == ["EVALSHA", "EVAL"]


def test_a_scope_without_rates_is_not_counted(sent):
    assert count_request(scope="off", subject=ANA).headers() == {}
    assert sent == []


def test_ratelimit_enable_turns_counting_off(settings, sent):
    settings.RATELIMIT_ENABLE = False
    assert outcomes(ANA, 20) == [True] * 20
    assert sent == []


def test_a_rate_of_zero_lets_nobody_through(settings):
    settings.RATE_LIMITS = {"api": ["0/h"]}
    assert outcomes(PERSON, 2, "api") == [False, False]


def test_retry_after_doubles_for_who_comes_back_too_early_up_to_the_cap():
    outcomes(ANA, 5)
    waits = []
    for _ in range(14):
        with pytest.raises(RateLimited) as refusal:
            count_request(scope="auth", subject=ANA)
        waits.append(refusal.value.retry_after_seconds)
    first = refusal.value.verdict.usages[0].reset_seconds
    assert waits == [min(3600, first * 2**n) for n in range(14)]
    assert waits[-1] == 3600


def test_the_first_retry_after_is_the_truth(clock):
    """Who waits as long as told is served; a second earlier, not."""
    outcomes(PERSON, 100, "api")
    with pytest.raises(RateLimited) as refusal:
        count_request(scope="api", subject=PERSON)
    clock.shift(refusal.value.retry_after_seconds - 1)
    assert outcomes(PERSON, 1, "api") == [False]
    clock.shift(1)
    assert outcomes(PERSON, 1, "api") == [True]


def test_hammering_does_not_prolong_the_block(clock):
    """Retry-After grows as advice: somebody else behind the same address must not wait for it."""
    outcomes(ANA, 5)
    with pytest.raises(RateLimited) as refusal:
        count_request(scope="auth", subject=ANA)
    outcomes(ANA, 50)
    clock.shift(refusal.value.verdict.usages[0].reset_seconds)
    assert outcomes(ANA, 1) == [True]


def test_a_short_retry_after_cap_never_tells_less_than_the_truth(settings):
    settings.RATE_LIMITING_LONGEST_RETRY_AFTER_SECONDS = 1
    outcomes(ANA, 5)
    with pytest.raises(RateLimited) as refusal:
        count_request(scope="auth", subject=ANA)
    assert refusal.value.retry_after_seconds == refusal.value.verdict.usages[0].reset_seconds


def test_a_place_given_back_can_be_taken_again():
    for _ in range(10):
        refund(verdict=count_request(scope="auth", subject=ANA))
    assert outcomes(ANA, 6) == [True] * 5 + [False]


@pytest.mark.parametrize(("most", "served"), [({"auth": 2}, 15), ({"auth": 0}, 5), ({}, 40)])
def test_successes_are_refunded_no_more_than_one_person_needs(settings, most, served):
    settings.RATE_LIMITING_MOST_REFUNDS = most
    passed = 0
    with suppress(RateLimited):
        for _ in range(40):
            refund(verdict=count_request(scope="auth", subject=ANA))
            passed += 1
    assert passed == served


def test_an_outage_uses_up_no_refunds(settings):
    settings.RATE_LIMITING_MOST_REFUNDS = {"auth": 1}
    for is_served in [False] * 40 + [True] * 5:
        refund(verdict=count_request(scope="auth", subject=ANA), is_served=is_served)
    assert outcomes(ANA, 6) == [True] * 5 + [False]


def test_giving_back_after_the_window_makes_nothing_immortal():
    verdict = count_request(scope="auth", subject=ANA)
    cache.clear()
    refund(verdict=verdict)
    assert outcomes(ANA, 6) == [True] * 5 + [False]
    for usage in verdict.usages:
        assert cache.store.call("PTTL", usage.counter) > 0


def test_giving_back_a_refusal_changes_nothing():
    outcomes(ANA, 5)
    with pytest.raises(RateLimited) as refusal:
        count_request(scope="auth", subject=ANA)
    refund(verdict=refusal.value.verdict)
    assert outcomes(ANA, 1) == [False]


def test_every_key_in_the_store_expires():
    outcomes(ANA, 9)
    outcomes(PERSON, 3, "api")
    _, keys = cache.store.call("SCAN", 0, "MATCH", "garrison:*", "COUNT", 1000)
    assert len(keys) == 4  # account, address, api, and one streak
    assert all(0 < cache.store.call("PTTL", key) <= 3600_000 for key in keys)
    assert not any(b"ana" in key for key in keys)


def test_the_headers_say_each_rate():
    verdict = count_request(scope="auth", subject=ANA)
    account, address = (usage.reset_seconds for usage in verdict.usages)
    assert verdict.headers() == {
        "RateLimit-Policy": '"auth";q=5;w=900, "auth-address";q=8;w=900',
        "RateLimit": f'"auth";r=4;t={account}, "auth-address";r=7;t={address}',
    }


def test_a_refusal_is_an_event_without_names(said):
    outcomes(ANA, 6)
    (event,) = said
    assert event.kind is events.REQUEST_REFUSED
    assert event.data["scope"] == "auth"
    assert event.data["endpoint"] == "login"
    assert event.data["rate"] == "5/15m account+address+endpoint"
    assert event.data["refusals"] == 1
    assert "ana" not in repr(event)


def test_a_refused_guess_weighs_more_than_a_refused_read(said):
    outcomes(ANA, 6)
    outcomes(PERSON, 101, "api")
    assert [event.severity for event in said] == [Severity.MEDIUM, Severity.LOW]


def test_a_flood_of_refusals_is_told_by_its_doublings(said):
    outcomes(ANA, 5 + 200)
    told = [event.data["refusals"] for event in said]
    assert told == [*range(1, EVERY_REFUSAL_UP_TO + 1), 32, 64, 128]


def test_a_cache_that_cannot_count_is_refused_by_name(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    with pytest.raises(ConfigurationError, match="LocMemCache"):
        count_request(scope="api", subject=PERSON)


def test_sixty_threads_share_one_limit_exactly(settings):
    settings.RATE_LIMITS = {"api": ["10/15m"]}
    passed = []
    barrier = threading.Barrier(60)

    def ask():
        barrier.wait()
        passed.extend(outcomes(PERSON, 1, "api"))

    threads = [threading.Thread(target=ask) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 10
    assert len(passed) == 60


ONE_PROCESS = """
import sys
import django
django.setup()
from django.conf import settings
from rate_limiting.errors import RateLimited
from rate_limiting.limiter import count_request
from rate_limiting.subject import Subject
person = Subject(address="192.0.2.1", user_id=sys.argv[1], endpoint="me")
print("ready", flush=True)
sys.stdin.readline()
passed = 0
for _ in range(250):
    try:
        count_request(scope="api", subject=person)
        passed += 1
    except RateLimited:
        pass
print(passed, flush=True)
"""


def whose_window_lasts(seconds):
    """Return the key of a person whose window does not turn soon."""
    for key in map(str, range(100)):
        verdict = count_request(scope="api", subject=replace(PERSON, user_id=key))
        if verdict.usages[0].reset_seconds > seconds:
            return key
    raise AssertionError("Every window turns soon.")


def test_a_thousand_requests_of_four_processes_pass_exactly_a_hundred(clock):
    clock.move_to(time_machine.escape_hatch.time.time())  # the processes have the real one
    key = whose_window_lasts(120)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    cache.clear()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_PROCESS, key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    passed = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert sum(passed) == 100
