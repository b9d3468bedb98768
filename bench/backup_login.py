"""Sign-ins while a backup runs beside them: the 95th percentile against an idle site.

One process signs in again and again (Argon2id as in production, and a row written for each); another
makes backups of a large database on the same server. Rows written meanwhile must not break the
backup: a drill compares what it holds with its manifest. Exit code 1 when a bound is missed.
"""

# ruff: noqa: E501 - told lines keep their own length

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import backup_throughput as throughput  # noqa: E402 - the path comes first

SIGN_INS = int(os.environ.get("BENCH_SIGN_INS", "150"))
SLOWEST = 2.0  # times the idle 95th percentile


def main() -> int:
    """Fill a database, measure idle and busy in turns, and compare."""
    from bench.servers import fresh_servers

    scratch = Path(tempfile.mkdtemp(prefix="bench-backups-"))
    try:
        with fresh_servers(scratch):
            return measure(scratch, os.environ["BARE_DATABASE_URL"])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def measure(scratch: Path, url: str) -> int:
    import psycopg

    env = throughput.environment(scratch, url)
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "-v0"], env=env, check=True, cwd=ROOT
    )
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(throughput.FILL % {"rows": throughput.ROWS})
        session.execute("CREATE TABLE signed_in (at timestamptz DEFAULT now(), name text)")
        (size,) = session.execute("SELECT pg_database_size(current_database())").fetchone()
    print(f"database: {size / 1e6:.0f} MB")
    sign_in = signer(env, url)
    idle = [sign_in() for _ in range(SIGN_INS)]
    busy, backups = [], 0
    while len(busy) < SIGN_INS:
        running = subprocess.Popen(
            [sys.executable, "-m", "django", "backup_create", "--only=database", "--json"],
            env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        while running.poll() is None:
            busy.append(sign_in())
        if running.returncode:
            print("a backup failed")
            return 1
        backups += 1
    idle += [sign_in() for _ in range(SIGN_INS)]
    return compare(idle, busy, backups) or consistent(env)


def signer(env: dict[str, str], url: str):
    """Return a function that signs in once: hash the password, read the user, write a row."""
    os.environ |= {
        name: value for name, value in env.items() if name.startswith(("HOST_", "DJANGO"))
    }
    sys.path.insert(0, str(ROOT / "tests/backups/host"))
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.db import connection

    from accounts.password.hashers import GarrisonArgon2PasswordHasher

    hasher = GarrisonArgon2PasswordHasher()
    user = User.objects.create(username="ada", password=hasher.encode("correct horse", "s" * 22))

    def sign_in() -> float:
        began = perf_counter()
        found = User.objects.get(pk=user.pk)
        assert hasher.verify("correct horse", found.password)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO signed_in (name) VALUES ('ada')")
            cursor.execute("UPDATE person SET score = score + 1 WHERE id = 1")
        return perf_counter() - began

    for _ in range(5):
        sign_in()
    return sign_in


def percentile(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def compare(idle: list[float], busy: list[float], backups: int) -> int:
    ratio = percentile(busy) / percentile(idle)
    holds = ratio <= SLOWEST
    print(
        f"{'ok  ' if holds else 'MISS'} sign-in p95 during {backups} backups: {ratio:.2f}x of idle "
        f"({percentile(idle) * 1000:.0f} ms idle, {len(busy)} sign-ins) (<= {SLOWEST})"
    )
    return 0 if holds else 1


def consistent(env: dict[str, str]) -> int:
    """Rows were written while it ran; a drill compares every table with the manifest."""
    ran = subprocess.run(
        [sys.executable, "-m", "django", "backup_drill", "--json"],
        env=env, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    whole = ran.returncode == 0 and json.loads(ran.stdout)["state"] == "good"
    print(f"{'ok  ' if whole else 'MISS'} a drill of the last of them finds every table whole")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
