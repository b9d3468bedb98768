"""What compiling the one query once is worth (ADR 0002), on PostgreSQL, in one process.

The two take turns, so that what counts is the ratio of their medians. Exit code 1 where compiling
does not pay: then ``sessions_tracking/compiled.py`` should go.
"""

from __future__ import annotations

import os
import statistics

import servers
import stopwatch

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3000"))
BOUND = 0.7


def measure() -> bool:
    """Look one session up in both ways, in turn."""
    from django.contrib.auth import get_user_model

    from sessions_tracking import compiled
    from sessions_tracking.models import Session
    from sessions_tracking.services import start_token_session

    user = get_user_model().objects.create_user("bench@example.com", None)
    key = start_token_session(user=user, amr=["pwd"]).session.pk
    without = compiled.AUTHENTICATION_NEEDS_NO
    quick = compiled.lookup(without=without)
    plain = compiled.plain(Session.objects.select_related("user").defer(*without))
    assert quick(key).user == plain(key).user == user
    times = stopwatch.in_turn(lambda: quick(key).user, lambda: plain(key).user, rounds=ROUNDS)
    ours, djangos = map(statistics.median, times)
    label = f"compiled {ours * 1e6:.0f} us, QuerySet {djangos * 1e6:.0f} us, ratio"
    return stopwatch.at_most(BOUND, ours / djangos, label)


if __name__ == "__main__":
    with servers.fresh_project():
        raise SystemExit(not measure())
