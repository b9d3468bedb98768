"""A backup of over 500 MB beside `pg_dump | gzip | age` and a bare `pg_dump`, in one run.

The three take turns and what counts is the ratio of their medians. Ours does more than either: it
counts and checksums every table in the same snapshot, hashes, signs and writes the manifest. It
gives way to whatever serves people (nice 10), so the others run with the same priority.

Exit code 1 when a bound is missed. ``BENCH_ROWS`` sets the size, ``BENCH_ROUNDS`` the turns;
``BENCH_DATABASE_URL`` (with ``BENCH_REDIS_URL``) names a server that runs already.
"""

# ruff: noqa: E501 - SQL and told lines keep their own length

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import servers
import stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = int(os.environ.get("BENCH_ROWS", "900000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
LEAST_BYTES = 500_000_000
FASTER_THAN_PIPE = 1.8
SLOWER_THAN_DUMP = 2.5
MOST_MEMORY = 64  # MiB
FILL = """
CREATE TABLE person (id bigserial PRIMARY KEY, email text, name text, bio text, score float8, born date,
  meta jsonb, created timestamptz, token uuid, secret bytea);
INSERT INTO person (email, name, bio, score, born, meta, created, token, secret)
SELECT 'user' || i || '@example.org', 'Name ' || i || ' Ünïcode',
  repeat(md5(i::text) || ' lorem ipsum dolor sit amet ', 4), random() * 1000,
  date '1960-01-01' + (i %% 20000), jsonb_build_object('a', i, 'b', md5((i * 7)::text)),
  now() - i * interval '1 second', gen_random_uuid(), decode(md5(i::text) || md5((i + 1)::text), 'hex')
FROM generate_series(1, %(rows)s) AS i;
CREATE TABLE event (id bigserial PRIMARY KEY, person_id bigint, kind text, at timestamptz, data jsonb);
INSERT INTO event (person_id, kind, at, data)
SELECT 1 + (i::bigint * 7919) %% %(rows)s, 'accounts.login.failed', now() - i * interval '1 second',
  jsonb_build_object('ip', '10.' || i %% 255 || '.' || i %% 251 || '.7', 'n', i,
                     'ua', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36')
FROM generate_series(1, %(rows)s * 4 / 3) AS i;
CREATE INDEX ON event (person_id);
"""
CHILD = """
import json, resource, sys, time
def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
bare = peak()
import django
django.setup()
from django.utils import timezone
from backups import services
loaded = peak()
began = time.perf_counter()
made = services.backup_now(now=timezone.now(), content="database")
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "bare": bare, "loaded": loaded, "peak": peak(),
                  "raw": made.raw_bytes, "stored": made.size_bytes, "folder": made.folder}))
"""


def main(measure: Callable[[Path, str, dict[str, str]], bool]) -> int:
    """Fill a fresh database, and measure with it."""
    import psycopg

    with tempfile.TemporaryDirectory() as folder, servers.fresh_servers(Path(folder)):
        scratch, url = Path(folder), os.environ["BARE_DATABASE_URL"]
        env = environment(scratch, url)
        run = [sys.executable, "-m", "django", "migrate", "--verbosity=0"]
        subprocess.run(run, env=env, check=True, cwd=servers.ROOT)
        with psycopg.connect(url, autocommit=True) as session:
            session.execute(FILL % {"rows": ROWS})
            session.execute("VACUUM ANALYZE")
            (size,) = session.execute("SELECT pg_database_size(current_database())").fetchone()
        print(f"database: {size / 1e6:.0f} MB")
        return int(not measure(scratch, url, env))


def environment(scratch: Path, url: str) -> dict[str, str]:
    identity = scratch / "identity.txt"
    subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
    shown = subprocess.run(
        ["age-keygen", "-y", identity], check=True, capture_output=True, text=True
    )
    return {
        **os.environ,
        "PYTHONPATH": f"{servers.ROOT}:{servers.ROOT / 'tests/backups/host'}",
        "DJANGO_SETTINGS_MODULE": "backups_host_settings",
        "HOST_VAR": str(scratch),
        "HOST_DATABASE_URL": url,
        "HOST_RECIPIENTS": shown.stdout.strip(),
        "HOST_IDENTITY_FILE": str(identity),
    }


def measure(scratch: Path, url: str, env: dict[str, str]) -> bool:
    import psycopg
    from django.conf import settings

    from backups import tools

    with psycopg.connect(url) as session:
        (size,) = session.execute("SELECT pg_database_size(current_database())").fetchone()
        major = session.info.server_version // 10_000
    if size < LEAST_BYTES:
        print("too small to tell; raise BENCH_ROWS")
        return False
    settings.configure()
    dump = tools.matching(major).path("pg_dump")
    pipe_file = scratch / "pipe.age"
    pipe = f"nice -n 10 {dump} {url} | nice -n 10 gzip | nice -n 10 age -r {env['HOST_RECIPIENTS']} > {pipe_file}"
    dumps, pipes, ours = [], [], []
    for number in range(ROUNDS):
        dumps.append(timed(f"nice -n 10 {dump} {url} > /dev/null", env))
        pipes.append(timed(pipe, env))
        child = [sys.executable, "-c", CHILD]
        ran = subprocess.run(child, env=env, cwd=servers.ROOT, check=True, capture_output=True)
        ours.append(json.loads(ran.stdout))
        print(
            f"round {number + 1}: pg_dump {dumps[-1]:.2f} s, pipe {pipes[-1]:.2f} s, ours {ours[-1]['seconds']:.2f} s; "
            f"stored {ours[-1]['stored'] / pipe_file.stat().st_size:.2f} of the pipe's"
        )
    check_with_stock_tools(scratch, env, ours[-1]["folder"], major)
    return compare(dumps, pipes, ours)


def check_with_stock_tools(scratch: Path, env: dict[str, str], folder: str, major: int) -> None:
    """What was measured must be a backup: the stock tools read it to its end."""
    from backups import tools

    part = scratch / "backups" / folder / "database.dump.gz.age"
    restore = tools.matching(major).path("pg_restore")
    subprocess.run(
        ["bash", "-o", "pipefail", "-c",
         f"age -d -i {env['HOST_IDENTITY_FILE']} {part} | gunzip | {restore} -f /dev/null"],
        check=True,
    )  # fmt: skip


def timed(command: str, env: dict[str, str]) -> float:
    shell = ["bash", "-o", "pipefail", "-c", command]
    return stopwatch.seconds(lambda: subprocess.run(shell, env=env, check=True))


def compare(dumps: list[float], pipes: list[float], ours: list[dict[str, float]]) -> bool:
    seconds = statistics.median(each["seconds"] for each in ours)
    added = max(each["peak"] - each["loaded"] for each in ours) / 2**20
    whole = max(each["peak"] - each["bare"] for each in ours) / 2**20
    print(f"peak memory above a bare interpreter, Django included: {whole:.0f} MiB")
    return all(
        [
            stopwatch.at_least(
                FASTER_THAN_PIPE,
                statistics.median(pipes) / seconds,
                "times the throughput of pg_dump | gzip | age",
            ),
            stopwatch.at_most(
                SLOWER_THAN_DUMP,
                seconds / statistics.median(dumps),
                "times the time of pg_dump > /dev/null",
            ),
            stopwatch.at_most(MOST_MEMORY, added, "peak memory above the loaded process, in MiB"),
        ]
    )


if __name__ == "__main__":
    sys.exit(main(measure))
