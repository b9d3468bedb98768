from __future__ import annotations

import threading

from rate_limiting.breaker import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    REPORT_AGAIN_AFTER_SECONDS,
    CircuitBreaker,
    Outages,
)


def test_it_lets_everything_through_while_all_is_well():
    breaker = CircuitBreaker()
    assert all(breaker.admits(now=0.0) for _ in range(100))
    assert breaker.retry_in_seconds(now=0.0) == 0.0


def test_one_failure_opens_it_until_the_pause_is_over():
    breaker = CircuitBreaker()
    breaker.fail(now=10.0)
    assert not breaker.admits(now=10.24)
    assert breaker.retry_in_seconds(now=10.125) == 0.125
    assert breaker.admits(now=10.25)


def test_one_caller_probes_and_the_others_wait():
    breaker = CircuitBreaker()
    breaker.fail(now=0.0)
    assert [breaker.admits(now=0.25) for _ in range(5)] == [True, False, False, False, False]


def test_one_of_many_threads_probes():
    breaker = CircuitBreaker()
    breaker.fail(now=0.0)
    admitted = []
    barrier = threading.Barrier(16)

    def ask():
        barrier.wait()
        admitted.append(breaker.admits(now=0.25))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(admitted) == 1


def test_failed_probes_double_the_pause_up_to_the_cap():
    breaker = CircuitBreaker()
    now, pauses = 0.0, []
    breaker.fail(now=now)
    for _ in range(6):
        pauses.append(breaker.retry_in_seconds(now=now))
        now += pauses[-1]
        assert breaker.admits(now=now)
        breaker.fail(now=now)
    assert pauses == [FIRST_PAUSE_SECONDS, 0.5, 1, 2, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]


def test_a_probe_that_never_comes_back_does_not_close_the_door_for_ever():
    breaker = CircuitBreaker()
    breaker.fail(now=0.0)
    assert breaker.admits(now=0.25)
    assert not breaker.admits(now=0.49)
    assert breaker.admits(now=0.5)


def test_a_success_closes_it_and_the_next_pause_is_short_again():
    breaker = CircuitBreaker()
    breaker.fail(now=0.0)
    breaker.fail(now=1.0)
    breaker.succeed()
    assert breaker.admits(now=1.0)
    breaker.fail(now=5.0)
    assert breaker.retry_in_seconds(now=5.0) == FIRST_PAUSE_SECONDS


def test_a_loss_is_told_once_a_minute_and_its_end_once():
    outages = Outages()
    assert not outages.end()
    assert outages.begin(now=0.0)
    assert not outages.begin(now=REPORT_AGAIN_AFTER_SECONDS - 1)
    assert outages.begin(now=REPORT_AGAIN_AFTER_SECONDS)
    assert outages.end()
    assert not outages.end()


def test_a_store_that_flaps_is_not_told_by_the_second():
    outages = Outages()
    told = 0
    for second in range(60):
        told += outages.begin(now=float(second))
        told += outages.end()
    assert told == 2
