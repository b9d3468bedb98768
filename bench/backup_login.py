"""Sign-ins while a backup runs beside them: the 95th percentile against an idle site.

One process signs in again and again (Argon2id as in production, and a row written for each);
another makes backups of a large database on the same server. Rows written meanwhile must not break
the backup: a drill compares what it holds with its manifest. Exit code 1 when a bound is missed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

import backup_throughput as throughput
import servers
import stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIGN_INS = int(os.environ.get("BENCH_SIGN_INS", "150"))
SLOWEST = 2.0  # times the idle 95th percentile


def measure(_scratch: Path, url: str, env: dict[str, str]) -> bool:
    """Measure idle and busy in turns, and compare."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as session:
        session.execute("CREATE TABLE signed_in (at timestamptz DEFAULT now(), name text)")
    sign_in = signer(env)
    idle = [stopwatch.seconds(sign_in) for _ in range(SIGN_INS)]
    busy, backups = [], 0
    while len(busy) < SIGN_INS:
        running = subprocess.Popen(
            [sys.executable, "-m", "django", "backup_create", "--only=database", "--json"],
            env=env, cwd=servers.ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        while running.poll() is None:
            busy.append(stopwatch.seconds(sign_in))
        if running.returncode:
            print("a backup failed")
            return False
        backups += 1
    idle += [stopwatch.seconds(sign_in) for _ in range(SIGN_INS)]
    ratio = percentile(busy) / percentile(idle)
    print(f"idle: {percentile(idle) * 1000:.0f} ms; {len(busy)} sign-ins beside {backups} backups")
    holds = stopwatch.at_most(SLOWEST, ratio, "sign-in p95 during backups, times the idle one")
    return is_consistent(env) and holds


def signer(env: dict[str, str]) -> Callable[[], None]:
    """Return a function that signs in once: hash the password, read the user, write a row."""
    os.environ |= {
        name: value for name, value in env.items() if name.startswith(("HOST_", "DJANGO"))
    }
    sys.path.insert(0, str(servers.ROOT / "tests/backups/host"))
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.db import connection

    from accounts.password.hashers import GarrisonArgon2PasswordHasher

    hasher = GarrisonArgon2PasswordHasher()
    user = User.objects.create(username="ada", password=hasher.encode("correct horse", "s" * 22))

    def sign_in() -> None:
        found = User.objects.get(pk=user.pk)
        assert hasher.verify("correct horse", found.password)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO signed_in (name) VALUES ('ada')")
            cursor.execute("UPDATE person SET score = score + 1 WHERE id = 1")

    for _ in range(5):
        sign_in()
    return sign_in


def percentile(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def is_consistent(env: dict[str, str]) -> bool:
    """Rows were written while it ran; a drill compares every table with the manifest."""
    ran = subprocess.run(
        [sys.executable, "-m", "django", "backup_drill", "--json"],
        env=env, cwd=servers.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    whole = ran.returncode == 0 and json.loads(ran.stdout)["state"] == "good"
    print(f"{'ok  ' if whole else 'MISS'} a drill of the last of them finds every table whole")
    return whole


if __name__ == "__main__":
    sys.exit(throughput.main(measure))
