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
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

ROWS = int(os.environ.get("BENCH_ROWS", "900000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
LEAST_BYTES = 500_000_000
FASTER_THAN_PIPE = 1.8
SLOWER_THAN_DUMP = 2.5
MOST_MEMORY = 64 * 1024 * 1024
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


def main() -> int:
    """Fill a fresh database, take turns, and compare."""
    from bench.servers import fresh_servers

    scratch = Path(tempfile.mkdtemp(prefix="bench-backups-"))
    try:
        with fresh_servers(scratch):
            return measure(scratch, os.environ["BARE_DATABASE_URL"])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def environment(scratch: Path, url: str) -> dict[str, str]:
    identity = scratch / "identity.txt"
    if not identity.exists():
        subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
    shown = subprocess.run(
        ["age-keygen", "-y", identity], check=True, capture_output=True, text=True
    )
    return {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests/backups/host'}",
        "DJANGO_SETTINGS_MODULE": "backups_host_settings",
        "HOST_VAR": str(scratch),
        "HOST_DATABASE_URL": url,
        "HOST_RECIPIENTS": shown.stdout.strip(),
        "HOST_IDENTITY_FILE": str(identity),
    }


def measure(scratch: Path, url: str) -> int:
    import psycopg

    env = environment(scratch, url)
    django = [sys.executable, "-m", "django"]
    subprocess.run([*django, "migrate", "--verbosity=0"], env=env, check=True, cwd=ROOT)
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(FILL % {"rows": ROWS})
        session.execute("VACUUM ANALYZE")
        (size,) = session.execute("SELECT pg_database_size(current_database())").fetchone()
        major = session.info.server_version // 10_000
    print(f"database: {size / 1e6:.0f} MB")
    if size < LEAST_BYTES:
        print("too small to tell; raise BENCH_ROWS")
        return 1
    return compare(*rounds(scratch, url, env, major))


def rounds(scratch: Path, url: str, env: dict[str, str], major: int):
    from django.conf import settings

    from backups import tools

    settings.configure()
    dump = tools.matching(major).path("pg_dump")
    times: dict[str, list[float]] = {"dump": [], "pipe": [], "ours": []}
    memory = []
    for number in range(ROUNDS):
        times["dump"].append(timed(f"nice -n 10 {dump} {url} > /dev/null", env))
        pipe = f"nice -n 10 {dump} {url} | nice -n 10 gzip | nice -n 10 age -r {env['HOST_RECIPIENTS']} > {scratch}/pipe.age"
        times["pipe"].append(timed(pipe, env))
        told = json.loads(
            subprocess.run(
                [sys.executable, "-c", CHILD], env=env, cwd=ROOT, check=True, capture_output=True
            ).stdout
        )
        times["ours"].append(told["seconds"])
        memory.append(told)
        stored = (scratch / "pipe.age").stat().st_size
        print(
            f"round {number + 1}: pg_dump {times['dump'][-1]:.2f} s, pipe {times['pipe'][-1]:.2f} s,"
            f" ours {told['seconds']:.2f} s; stored {told['stored'] / stored:.2f} of the pipe's"
        )
    check_with_stock_tools(scratch, env, memory[-1]["folder"], major)
    return times, memory


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
    began = perf_counter()
    subprocess.run(["bash", "-o", "pipefail", "-c", command], env=env, check=True)
    return perf_counter() - began


def compare(times: dict[str, list[float]], memory: list[dict[str, int]]) -> int:
    median = {name: statistics.median(each) for name, each in times.items()}
    against_pipe = median["pipe"] / median["ours"]
    against_dump = median["ours"] / median["dump"]
    added = max(each["peak"] - each["loaded"] for each in memory)
    whole = max(each["peak"] - each["bare"] for each in memory)
    verdicts = [
        (f"throughput of pg_dump | gzip | age: {against_pipe:.2f}x", f">= {FASTER_THAN_PIPE}",
         against_pipe >= FASTER_THAN_PIPE),
        (f"time of pg_dump > /dev/null: {against_dump:.2f}x", f"<= {SLOWER_THAN_DUMP}",
         against_dump <= SLOWER_THAN_DUMP),
        (f"peak memory above the loaded process: {added / 2**20:.0f} MiB (above a bare interpreter, Django included: {whole / 2**20:.0f} MiB)",
         "<= 64 MiB", added <= MOST_MEMORY),
    ]  # fmt: skip
    for told, bound, holds in verdicts:
        print(f"{'ok  ' if holds else 'MISS'} {told} ({bound})")
    return 0 if all(holds for _, _, holds in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
