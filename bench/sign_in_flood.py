"""How reads fare while 32 clients sign in at once, and how many threads and workers serve best.

Starts the site as production serves it. ``threads`` measures reads at 16 connections for each
number of workers and threads; ``flood`` measures /health and an authenticated read, alone and
beside 32 parallel sign-ins with a wrong password. No argument: both.
"""

from __future__ import annotations

import collections
import http.client
import itertools
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SECONDS = float(os.environ.get("BENCH_SECONDS", "6"))
ROUNDS, TURN_SECONDS = int(os.environ.get("BENCH_ROUNDS", "6")), 1.5
READERS = 16
SIGNING_IN = 32
USERS = 8


def tokens() -> list[str]:
    """Sign in some users, by the project's own means."""
    command = [sys.executable, "-m", "bench.peers.serve"]
    done = subprocess.run(
        command, cwd=ROOT, input=f"tokens {USERS}\n", capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def served(*, workers: int, threads: int):
    """Serve the site; gives the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface", "rsgi", "--no-ws"]
    command += ["--workers", str(workers), "--port", str(port), "--log-level", "error"]
    server = subprocess.Popen(
        [*command, "config.rsgi:application"],
        cwd=ROOT,
        env={**os.environ, "WEB_THREADS": str(threads)},
        start_new_session=True,
    )
    try:
        for _ in range(300):
            try:
                time.sleep(0.1)
                if ask(http.client.HTTPConnection("127.0.0.1", port), "/health") == 200:
                    break
            except OSError:
                pass
        time.sleep(1)  # the other worker
        yield port
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def ask(line, path, *, token=None, body=None) -> int:
    """Make one request; returns the status."""
    fields = {"Authorization": f"Bearer {token}"} if token else {}
    if body:
        fields["Content-Type"] = "application/json"
    line.request("POST" if body else "GET", path, body=body, headers=fields)
    answer = line.getresponse()
    answer.read()
    return answer.status


def client(port, end, found, requests) -> None:
    """Ask again and again over one connection; note (status, seconds) of each."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    line.connect()
    line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for request in requests:
        if perf_counter() > end:
            break
        began = perf_counter()
        found.append((ask(line, **request), perf_counter() - began))


def together(port, *groups, seconds=SECONDS) -> list[list[tuple[int, float]]]:
    """Run groups of clients (number, requests) at once; returns what each group found."""
    end, running, results = perf_counter() + seconds, [], []
    for number, requests in groups:
        found: list[tuple[int, float]] = []
        results.append(found)
        for seed in range(number):
            arguments = (port, end, found, requests(seed))
            running.append(threading.Thread(target=client, args=arguments))
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return results


def reads(signed_in):
    def of(seed):
        return (
            {"path": "/api/auth/me", "token": signed_in[seed % USERS]} for _ in itertools.count()
        )

    return of


def healths(_seed):
    return itertools.repeat({"path": "/health"})


def sign_ins(seed):
    for number in itertools.count():
        guess = {"email": f"nobody-{seed}-{number}@example.com", "password": "a wrong one 42 times"}
        yield {"path": "/api/auth/login", "body": json.dumps(guess)}


def figures(found, seconds=SECONDS) -> str:
    times = sorted(taken for _, taken in found)
    cut = statistics.quantiles(times, n=100)
    median, p99 = cut[49] * 1e3, cut[98] * 1e3
    return f"{len(times) / seconds:6.0f}/s  median {median:6.1f} ms  p99 {p99:6.1f} ms"


def compare_threads(signed_in) -> None:
    """Let every arrangement take turns, and show the best: what else ran counts little."""
    arrangements = list(itertools.product((1, 2), (1, 2, 4, 8)))
    best = {}
    with ExitStack() as running:
        ports = [
            running.enter_context(served(workers=workers, threads=threads))
            for workers, threads in arrangements
        ]
        for turn in range(ROUNDS + 1):
            for arrangement, port in zip(arrangements, ports, strict=True):
                (found,) = together(port, (READERS, reads(signed_in)), seconds=TURN_SECONDS)
                assert {status for status, _ in found} == {200}
                times = sorted(taken for _, taken in found)
                rate, p99 = len(times) / TURN_SECONDS, times[int(len(times) * 0.99)]
                if turn:  # the first turn warms up
                    best.setdefault(arrangement, []).append((rate, p99))
    for (workers, threads), turns in best.items():
        rate, p99 = max(rate for rate, _ in turns), min(p99 for _, p99 in turns)
        middle = statistics.median(p99 for _, p99 in turns)
        print(
            f"{workers} workers  {threads} threads  {rate:5.0f}/s  "
            f"p99 {p99 * 1e3:6.1f} ms at best, {middle * 1e3:6.1f} ms in the median turn",
            flush=True,
        )


def compare_flood(signed_in) -> None:
    with served(workers=2, threads=int(os.environ.get("WEB_THREADS", "4"))) as port:
        quiet = (1, healths), (1, reads(signed_in))
        together(port, *quiet, seconds=1)
        for label, groups in {"alone": quiet, "beside": (*quiet, (SIGNING_IN, sign_ins))}.items():
            health, read, *flood = together(port, *groups)
            print(f"{label:8} /health  {figures(health)}", flush=True)
            print(f"{label:8} read     {figures(read)}", flush=True)
            for found in flood:
                statuses = collections.Counter(status for status, _ in found)
                print(f"{label:8} sign-ins {figures(found)}  {dict(statuses)}", flush=True)


def main() -> None:
    from bench.servers import fresh_servers

    with tempfile.TemporaryDirectory() as scratch, fresh_servers(Path(scratch)):
        os.environ["DJANGO_SETTINGS_MODULE"] = "bench.peers.garrison"  # limits out of the way
        os.environ["ALLOWED_HOSTS"] = "127.0.0.1"
        signed_in = tokens()
        asked = sys.argv[1:] or ["threads", "flood"]
        for name in asked:
            {"threads": compare_threads, "flood": compare_flood}[name](signed_in)


if __name__ == "__main__":
    main()
