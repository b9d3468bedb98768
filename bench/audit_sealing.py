"""How many events a second are sealed, how many verified, and in how much memory.

``BENCH_EVENTS`` sets the number of events (default 300,000); ``BENCH_PROFILE=1`` shows where the
time goes. Exit code 1 when a rate or the memory misses its bound, or something is not whole.
"""

from __future__ import annotations

import base64
import cProfile
import os
import pstats
import resource
import secrets
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from time import perf_counter, sleep

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

EVENTS = int(os.environ.get("BENCH_EVENTS", "300000"))
SEALED = 10_000  # a second
VERIFIED = 50_000  # a second
BEHIND = 1.0  # seconds, under load
LOADED_SECONDS = 10
MORE_MEMORY = 64  # MiB above what the process has before


def main() -> int:
    """Fill a fresh database, seal it, verify it."""
    from bench import servers

    with tempfile.TemporaryDirectory() as scratch:
        database, redis, stop = servers._servers(Path(scratch))
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "GARRISON_ENV_FILE": os.devnull,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "JWT_SECRET": secrets.token_urlsafe(50),
            "ENCRYPTION_KEY": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "VAR_DIR": scratch,
            "LOG_LEVEL": "ERROR",
            "REDIS_URL": redis,
            "DATABASE_URL": servers._new_database(database, "bench_sealing"),
        }
        import django

        django.setup()
        try:
            return measure()
        finally:
            stop()


def measure() -> int:
    """Seal, verify, and look for one new event among many."""
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    from audit.keys import EPOCH
    from audit.models import EventSeal
    from audit.sealing import sealer
    from audit.verification.verify import Question, verify
    from bench.event_list import INSERT

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(INSERT, {"events": EVENTS})
        cursor.execute("VACUUM ANALYZE audit_securityevent")
    before = memory()
    seconds, count = timed(lambda: sealer.catch_up(now=timezone.now(), since=EPOCH))
    sealed = count / seconds
    print(f"sealed   {count:>9,} in {seconds:6.1f} s  {sealed:>9,.0f}/s")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE audit_eventseal")
    sealer.catch_up(now=timezone.now())
    seconds, report = timed(lambda: verify(Question(now=timezone.now() + timedelta(minutes=5))))
    verified = report.looked_at / seconds
    print(f"verified {report.looked_at:>9,} in {seconds:6.1f} s  {verified:>9,.0f}/s")
    more = memory() - before
    print(f"memory   {more:.0f} MiB more; {report.summary()}")
    idle, _ = timed(lambda: [sealer.keep_up(now=timezone.now()) for _ in range(20)])
    print(f"a look where nothing is new: {idle * 50:.1f} ms")
    whole = report.is_whole and EventSeal.objects.count() == report.looked_at
    behind = measure_lag()
    good = sealed >= SEALED and verified >= VERIFIED and more <= MORE_MEMORY and behind <= BEHIND
    return int(not (good and whole))


def measure_lag() -> float:
    """Write events as fast as one connection can, beside a sealer; give the median lag."""
    from django.utils import timezone

    from audit.models import EventSeal, SecurityEvent

    command = [sys.executable, "manage.py", "audit_seal", "--forever"]
    beside = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
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
    sys.exit(main())
