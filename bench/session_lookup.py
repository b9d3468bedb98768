"""What compiling the one query once is worth (ADR 0002), on PostgreSQL, in one process.

The two take turns, so that what counts is the ratio of their medians. Exit code 1 where compiling
does not pay: then ``sessions_tracking/compiled.py`` should go.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3000"))
BOUND = 0.7


def seconds(lookup, key) -> float:
    started = perf_counter()
    found = lookup(key)
    taken = perf_counter() - started
    assert found.user.is_active
    return taken


def measure() -> bool:
    """Look one session up in both ways, in turn."""
    import django

    django.setup()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from sessions_tracking import compiled
    from sessions_tracking.models import Session
    from sessions_tracking.services import start_token_session

    call_command("migrate", verbosity=0)
    user = get_user_model().objects.create_user("bench@example.com", None)
    key = start_token_session(user=user, amr=["pwd"]).session.pk
    without = compiled.AUTHENTICATION_NEEDS_NO
    quick = compiled.lookup(without=without)
    plain = compiled.plain(Session.objects.select_related("user").defer(*without))
    times = [(seconds(quick, key), seconds(plain, key)) for _ in range(ROUNDS)]
    ours, djangos = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = ours / djangos
    print(f"compiled {ours * 1e6:.0f} us, QuerySet {djangos * 1e6:.0f} us: {ratio:.2f}x of it")
    print(f"bound {BOUND:.2f}: {'ok' if ratio <= BOUND else 'MISSED'}")
    return ratio <= BOUND


def main() -> int:
    """Start a server, and measure."""
    from bench.servers import fresh_servers

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    with tempfile.TemporaryDirectory() as scratch, fresh_servers(Path(scratch)):
        return 0 if measure() else 1


if __name__ == "__main__":
    raise SystemExit(main())
