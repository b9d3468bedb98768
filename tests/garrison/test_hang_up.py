"""Two hundred clients of a real ASGI server hang up in the middle of a wrong login."""

import asyncio
import http.client
import json
import socket
import subprocess
import sys
import time
from contextlib import closing

import pytest

from audit.models import SecurityEvent
from tests.architecture.house import ROOT
from tests.other_processes import environment

CLIENTS = 200
AT_ONCE = 20  # each holds a thread and a connection to the database


@pytest.fixture
def begun(tmp_path):
    """The file in which the server notes each password that it has begun to hash."""
    path = tmp_path / "begun"
    path.touch()
    return path


@pytest.fixture(params=["yes", "no"])
def server(transactional_db, begun, tmp_path, request):
    """Granian's ASGI interface on ``config.asgi``; gives its port.

    Where every middleware is asynchronous, the task of the outermost one is cancelled; else its
    thread goes on.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--no-ws"]
    command += ["--host", "127.0.0.1", "--port", str(port), "config.asgi:application"]
    site = environment(
        DJANGO_SETTINGS_MODULE="tests.garrison.slow_sign_in",
        BEGUN=str(begun),
        IS_ALL_ASYNC=request.param,
    )
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=site, stdout=log, stderr=log)
    try:
        _wait_until_it_answers(port)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _wait_until_it_answers(port):
    for _ in range(200):
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as client:
                client.request("GET", "/health")
                assert client.getresponse().status == 200
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the server does not start")


async def _sign_in_and_hang_up(port, number, begun, gate):
    """Send a whole request, wait until its password is being hashed, and go without an answer."""
    body = json.dumps({"email": f"nobody{number}@example.com", "password": f"guess-{number}-wrong"})
    head = "POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    async with gate:
        answer, request = await asyncio.open_connection("127.0.0.1", port)
        request.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        while f"guess-{number}-wrong\n" not in begun.read_text():  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.02)
        request.transport.abort()
        assert await answer.read() == b""


async def _all_hang_up(port, begun):
    gate = asyncio.Semaphore(AT_ONCE)
    clients = [_sign_in_and_hang_up(port, number, begun, gate) for number in range(CLIENTS)]
    async with asyncio.timeout(90):
        await asyncio.gather(*clients)


@pytest.mark.slow
@pytest.mark.postgresql
def test_no_refusal_is_lost_to_clients_that_hang_up(server, begun):
    asyncio.run(_all_hang_up(server, begun))
    failed = SecurityEvent.objects.of_kinds(["accounts.login.failed"])
    for _ in range(100):
        if failed.count() >= CLIENTS:
            break
        time.sleep(0.1)
    time.sleep(1)  # whatever would come twice
    assert failed.count() == CLIENTS
    assert failed.values("request_id").distinct().count() == CLIENTS
    assert set(failed.values_list("ip", flat=True)) == {"127.0.0.1"}
