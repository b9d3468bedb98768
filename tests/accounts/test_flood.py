"""Sign-ins and half-sent bodies by the dozen at the real server: reads go on meanwhile."""

import collections
import http.client
import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from accounts.models import LockoutBucket
from config.starter import ports
from sessions_tracking.services import start_token_session
from tests.accounts.slow_host import SECONDS
from tests.architecture.house import ROOT
from tests.other_processes import environment

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]
SIGN_INS = 32


@pytest.fixture
def port(transactional_db, tmp_path):
    """Serve the test's database with one process of four threads."""
    port = ports.free_port()
    command = [sys.executable, "-m", "granian", "--interface", "rsgi", "--no-ws"]
    command += ["--host", "127.0.0.1", "--port", str(port), "config.rsgi:application"]
    site = environment(DJANGO_SETTINGS_MODULE="tests.accounts.slow_host", WEB_THREADS="4")
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=site, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while ports.is_free(port):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield port
    server.terminate()
    server.wait(30)


def ask(port, path, *, token=None, body=None):
    """Return status, headers and seconds."""
    fields = {"Authorization": f"Bearer {token}"} if token else {}
    fields |= {"Content-Type": "application/json"} if body else {}
    began = time.monotonic()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as line:
        line.request("POST" if body else "GET", path, body, fields)
        answer = line.getresponse()
        answer.read()
        return answer.status, answer.headers, time.monotonic() - began


def sign_in(port, number):
    body = {"email": f"nobody{number}@example.com", "password": "a wrong one 42 times"}
    return ask(port, "/api/auth/login", body=json.dumps(body))


def test_a_flood_of_sign_ins_leaves_threads_to_those_who_read(port, ada):
    token = start_token_session(user=ada, amr=["pwd"]).access
    assert ask(port, "/api/auth/me", token=token)[0] == 200  # warm
    with ThreadPoolExecutor(SIGN_INS) as pool:
        flood = [pool.submit(sign_in, port, number) for number in range(SIGN_INS)]
        time.sleep(0.3)
        for path in ["/health", "/api/auth/me"] * 2:
            status, _, seconds = ask(port, path, token=token)
            assert status == 200
            assert seconds < SECONDS, f"{path} waited for a hash"
        answers = [signing_in.result() for signing_in in flood]
    statuses = collections.Counter(status for status, *_ in answers)
    assert set(statuses) == {401, 503}
    assert statuses[401] <= SIGN_INS / 2, "two at a time, and more where the machine is slow"
    assert {headers["Retry-After"] for status, headers, _ in answers if status == 503} == {"1"}
    assert LockoutBucket.objects.accounts().count() == statuses[401], (
        "who was not compared has no place taken"
    )


def test_half_sent_bodies_of_one_address_leave_threads_to_those_who_read(port, ada):
    token = start_token_session(user=ada, amr=["pwd"]).access
    head = b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    with ExitStack() as held:
        for _ in range(96):  # 64 are waited for
            line = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            line.sendall(head)
        time.sleep(0.3)
        for path in ["/health", "/api/auth/me"] * 2:
            status, _, seconds = ask(port, path, token=token)
            assert (status, seconds < SECONDS) == (200, True)
        assert b"HTTP/1.1 429" in line.recv(1000), "the last of them is refused at once"
