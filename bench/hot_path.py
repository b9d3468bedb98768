"""Our hot path beside a bare DRF + simplejwt view, on the same servers, in one run.

The machine is noisy, so the two take turns and what counts is the ratio of their medians: in short
blocks, which find each project warm, and request by request with eight users, which finds each as
a quiet site is found: pushed out of the processor's caches by the other. Exit code 1 when a bound
is missed.
"""

from __future__ import annotations

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
import time
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "30"))
BLOCK = 100
USERS = 8
BOUNDS = {
    "me as a WSGI call": 1.5,
    "refresh as a WSGI call": 1.0,
    "me over HTTP": 1.25,
    "me over HTTP, cold": 1.25,
}

# Each as it is served: ours by the entry of `make run`, the peer as granian serves any WSGI site.
SERVED_AS = {
    "garrison": ("rsgi", "config.rsgi:application"),
    "bare": ("wsgi", "django_application:application"),
}


class Project:
    """One of the two: a process for direct calls, and a server for HTTP."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.environment = {**os.environ, "DJANGO_SETTINGS_MODULE": f"bench.peers.{name}"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.peers.serve"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.read()
        self.server = None

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the {self.name} project stopped; its errors are above")
        return json.loads(line)

    def ask(self, order):
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        return self.read()

    def serve(self):
        """Start granian, and open one keep-alive connection to it."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.server = subprocess.Popen(
            [
                *(sys.executable, "-m", "granian", "--workers", "1", "--port", str(port)),
                *("--log-level", "error", "--interface", *SERVED_AS[self.name]),
            ],
            cwd=ROOT,
            env={**self.environment, "PYTHONPATH": f"{ROOT}:{ROOT / 'bench' / 'peers'}"},
            start_new_session=True,
        )
        self.tokens = itertools.cycle(self.ask(f"tokens {USERS}"))
        for _ in range(100):
            try:
                self.client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                self.client.connect()
                break
            except OSError:
                time.sleep(0.1)
        self.client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get_me(self, count):
        times = []
        for _ in range(count):
            headers = {"Authorization": f"Bearer {next(self.tokens)}"}
            started = perf_counter()
            self.client.request("GET", "/api/auth/me", headers=headers)
            answer = self.client.getresponse()
            body = answer.read()
            times.append(perf_counter() - started)
            if answer.status != 200:
                raise SystemExit(f"{self.name} answered {answer.status}: {body[:300]!r}")
        return times

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        if self.server:
            os.killpg(self.server.pid, signal.SIGTERM)
            self.server.wait(10)


def take_turns(label, ours, peer, measure, block=BLOCK, rounds=ROUNDS):
    """Measure in alternating blocks; print and give the ratio of the medians."""
    for project in (ours, peer):
        measure(project, BLOCK)
    mine, theirs = [], []
    for turn in range(rounds):
        first, second = (ours, peer) if turn % 2 else (peer, ours)
        for project in (first, second):
            (mine if project is ours else theirs).extend(measure(project, block))
    ratio = statistics.median(mine) / statistics.median(theirs)
    bound = BOUNDS[label]
    verdict = "ok" if ratio <= bound else "MISSED"
    print(
        f"{label:26} ours {statistics.median(mine) * 1e3:6.2f} ms   "
        f"peer {statistics.median(theirs) * 1e3:6.2f} ms   ratio {ratio:4.2f}   "
        f"bound {bound:4.2f}   {verdict}",
        flush=True,
    )
    return ratio <= bound


def main() -> int:
    """Start the servers and both projects, and compare them."""
    from bench.servers import fresh_servers

    with tempfile.TemporaryDirectory() as scratch, fresh_servers(Path(scratch)):
        ours, peer = Project("garrison"), Project("bare")
        try:
            results = [
                take_turns("me as a WSGI call", ours, peer, lambda p, n: p.ask(f"me {n}")),
                take_turns(
                    "refresh as a WSGI call", ours, peer, lambda p, n: p.ask(f"refresh {n}"), 20
                ),
            ]
            ours.serve()
            peer.serve()
            for label, block in (("me over HTTP", BLOCK), ("me over HTTP, cold", 1)):
                rounds = ROUNDS * BLOCK // block
                results.append(take_turns(label, ours, peer, Project.get_me, block, rounds))
        finally:
            ours.stop()
            peer.stop()
    return 0 if all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
