"""Valkey from its wheel: loopback only, with a password, nothing kept on disk, nothing evicted."""

from __future__ import annotations

import shutil
import signal
import subprocess
from contextlib import closing, suppress
from typing import IO, TYPE_CHECKING, ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.starter import wheels
from config.starter.ports import LOOPBACK
from config.starter.server import EmbeddedServer

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_SECONDS = 2.0


class EmbeddedValkey(EmbeddedServer):
    """The counters and the task queue of a development machine."""

    name = "Valkey"
    slug: ClassVar[str] = "valkey"
    program: ClassVar[str] = "valkey-server"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def home(self) -> Path:
        """Its working folder."""
        return self.folder

    def pid_file(self) -> Path:
        """Written by Valkey itself."""
        return self.folder / "valkey.pid"

    def url(self) -> str:
        """Return the address, with the password."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def prepare(self) -> None:
        """Nothing is kept, so there is nothing to prepare."""

    def launch(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start it; the password goes in by stdin, for arguments are everybody's to read."""
        arguments = [str(wheels.valkey()), "-", "--dir", str(self.folder)]
        process = self.spawn(arguments, log, stdin=subprocess.PIPE)
        if process.stdin:
            with suppress(BrokenPipeError), process.stdin as configuration:
                configuration.write(self.configuration().encode())
        return process

    def configuration(self) -> str:
        """Return the directives, one a line."""
        return "\n".join(
            [
                f"bind {LOOPBACK}",
                f"port {self.port}",
                f"requirepass {self.password}",
                f'pidfile "{self.pid_file()}"',
                'save ""',
                "appendonly no",
                "maxmemory-policy noeviction",  # an evicted counter would be a free guess
                "databases 64",  # the test suite gives each of its workers one
                "set-proc-title no",  # running_pid() reads the arguments
                "",
            ]
        )

    def is_ready(self) -> bool:
        """Return whether it answers a ping under the password."""
        once = Retry(NoBackoff(), 0)  # we ask again ourselves, and sooner
        with closing(
            redis.Redis.from_url(self.url(), socket_timeout=ANSWER_SECONDS, retry=once)
        ) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def destroy(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
