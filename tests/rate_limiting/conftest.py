"""A Valkey of a test's own, which it may stop, and a count of what is sent to the store."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time

import pytest
import time_machine
from django.core.cache import cache
from redis.connection import Connection

from config.starter import wheels


class OwnValkey:
    """A server on a port that stays its own, through stops and starts."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process = None

    def start(self):
        arguments = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        self.process = subprocess.Popen(
            [str(wheels.valkey()), *arguments, "--dir", str(self.folder)],
            stdout=subprocess.DEVNULL,
        )
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError("Valkey did not start.")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def hang(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def wake(self):
        os.kill(self.process.pid, signal.SIGCONT)


@pytest.fixture
def own_valkey(tmp_path):
    server = OwnValkey(tmp_path)
    server.start()
    yield server
    if server.process is not None:
        server.stop()


@pytest.fixture
def own_cache(own_valkey, settings):
    """Let the default cache be on the test's own server."""
    settings.CACHES = {
        "default": {"BACKEND": "rate_limiting.cache.CounterCache", "LOCATION": own_valkey.url}
    }
    yield cache
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache", "LOCATION": ""}
    }


@pytest.fixture
def clock():
    """Stand still, so that no window turns in the middle of a test."""
    with time_machine.travel(1_900_000_000, tick=False) as traveller:
        yield traveller


@pytest.fixture
def plain_static(settings):
    """Serve pages without the manifest that ``collectstatic`` would have written."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.fixture
def sent(monkeypatch):
    """Collect the name of each command that goes to the store: one entry is one round trip."""
    commands = []
    send = Connection.send_packed_command

    def record(self, command, *args, **kwargs):
        words = b"".join(c if isinstance(c, bytes) else c.encode() for c in command).split(b"\r\n")
        commands.append(words[2].decode())
        return send(self, command, *args, **kwargs)

    cache.has_key("warm")  # connected, so that the handshake is not counted
    monkeypatch.setattr(Connection, "send_packed_command", record)
    return commands
