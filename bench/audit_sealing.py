"""How many events a second are sealed, how many verified, and in how much memory.

``BENCH_EVENTS`` sets the number of events (default 300,000); ``BENCH_PROFILE=1`` shows where the
time goes. Exit code 1 when a rate or the memory misses its bound, or something is not whole.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import resource
import subprocess
import sys
from datetime import timedelta
from itertools import islice
from time import perf_counter, sleep

import servers
import stopwatch

EVENTS = int(os.environ.get("BENCH_EVENTS", "300000"))
SEALED = 10_000  # a second
VERIFIED = 50_000  # a second
BEHIND = 1.0  # seconds, under load
LOADED_SECONDS = 10
MORE_MEMORY = 64  # MiB above what the process has before


def measure() -> bool:
    """Seal, verify, and look for one new event among many."""
    from django.db import connection
    from django.utils import timezone

    from audit.keys import EPOCH
    from audit.models import EventSeal
    from audit.sealing import sealer
    from audit.verification.verify import Question, verify

    writing, _ = timed(lambda: write(EVENTS))
    each, attest = writing / EVENTS * 1e6, attesting()
    print(f"{each:.0f} µs to write an event in bulk, {attest:.0f} µs of them to attest it")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE audit_securityevent")
    before = memory()
    sealing, count = timed(lambda: sealer.catch_up(now=timezone.now(), since=EPOCH))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE audit_eventseal")
    sealer.catch_up(now=timezone.now())
    later = Question(now=timezone.now() + timedelta(minutes=5))
    verifying, report = timed(lambda: verify(later))
    more = memory() - before
    idle, _ = timed(lambda: [sealer.keep_up(now=timezone.now()) for _ in range(20)])
    print(f"a look where nothing is new: {idle * 50:.1f} ms; {report.summary()}")
    is_whole = report.verdict == "whole" and EventSeal.objects.count() == report.looked_at
    return is_whole and all(
        [
            stopwatch.at_least(SEALED, count / sealing, f"sealed a second, of {count:,}"),
            stopwatch.at_least(
                VERIFIED,
                report.looked_at / verifying,
                f"verified a second, of {report.looked_at:,}",
            ),
            stopwatch.at_most(MORE_MEMORY, more, "more memory, in MiB"),
            stopwatch.at_most(BEHIND, measure_lag(), "median lag under load, in seconds"),
        ]
    )


def rows(count: int):
    """Make events as they happen over a month, each of a few kinds and people."""
    from django.utils import timezone

    from audit.models import SecurityEvent

    now, person = timezone.now(), "person@example.org"
    browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    for n in range(count):
        yield SecurityEvent(
            kind=("accounts.login.succeeded", "accounts.login.failed")[n % 2],
            at=now - timedelta(days=30) * (1 - n / count),
            actor_label=person,
            target=f"user:{n % 20000}",
            ip=f"10.{n % 250}.{n // 250 % 250}.7",
            user_agent=browser,
            session_id=f"{n // 9:032x}",
            request_id=f"{n:032x}",
            data={"reason": "wrong_password"},
        )


def write(count: int) -> None:
    """Store them in blocks, so that they leave no mark on the most memory."""
    from audit.models import SecurityEvent

    events = rows(count)
    while block := list(islice(events, 1_000)):
        SecurityEvent.objects.bulk_create(block)


def attesting() -> float:
    """Return how long an event takes to attest, in microseconds."""
    from audit.models import SecurityEvent

    events = list(rows(5_000))
    for event in events:
        event.pk = SecurityEvent._meta.pk.get_pk_value_on_save(event)
    field = SecurityEvent._meta.get_field("attestation")
    seconds, _ = timed(lambda: [field.pre_save(event, add=True) for event in events])
    return seconds / len(events) * 1e6


def measure_lag() -> float:
    """Write events as fast as one connection can, beside a sealer; give the median lag."""
    from django.utils import timezone

    from audit.models import EventSeal, SecurityEvent

    command = [sys.executable, "manage.py", "audit_seal", "--forever"]
    beside = subprocess.Popen(
        command, cwd=servers.ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    first = SecurityEvent.objects.create(kind="bench.event.written")
    while not EventSeal.objects.filter(event=first).exists():
        sleep(0.1)
    began, written = perf_counter(), 0
    while perf_counter() - began < LOADED_SECONDS:
        SecurityEvent.objects.create(kind="bench.event.written", at=timezone.now())
        written += 1
    sleep(2)
    beside.terminate()
    beside.wait()
    seals = EventSeal.objects.filter(event__kind="bench.event.written").select_related("event")
    lags = sorted((seal.sealed_at - seal.event.at).total_seconds() for seal in seals)[:-1]
    print(
        f"under {written / LOADED_SECONDS:,.0f} events a second the sealer is behind by "
        f"{lags[len(lags) // 2]:.2f} s (median), {lags[len(lags) * 99 // 100]:.2f} s (99 %); "
        f"{written + 1 - len(lags) - 1} left"
    )
    return lags[len(lags) // 2]


def timed(work):
    """Return the seconds, and what came of it."""
    profile = cProfile.Profile() if os.environ.get("BENCH_PROFILE") else None
    began = perf_counter()
    result = profile.runcall(work) if profile else work()
    seconds = perf_counter() - began
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(18)
    return seconds, result


def memory() -> float:
    """Return the most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    with servers.fresh_project():
        sys.exit(not measure())
