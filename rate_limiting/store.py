"""The line to Valkey or Redis: one command, one answer, one deadline, no surprises.

It drives redis-py's connections directly. Its client adds about as much time as the round trip
itself (pools, retries, metrics), and its retries would multiply the deadline; see
``docs/decisions/0004-counting-engine.md``.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from redis import exceptions
from redis.connection import Connection, parse_url

from rate_limiting.breaker import CircuitBreaker
from rate_limiting.errors import StoreUnavailable

if TYPE_CHECKING:
    from rate_limiting.scripts import Script

TIMEOUT_SECONDS = 0.2
MOST_IDLE_CONNECTIONS = 64

Argument: TypeAlias = str | bytes | int


class CommandRefused(StoreUnavailable):
    """The store answered with an error: out of memory, read-only, or a value of another type."""


class Store:
    """Sends commands; safe for threads and across forks.

    Every failure is a :class:`~rate_limiting.errors.StoreUnavailable`, within about the timeout:
    a call that times out is not repeated, and while the breaker is open nothing is sent at all.
    Only a connection that turns out to be dead when it is taken up again (the server was restarted)
    is replaced and the command sent once more.
    """

    def __init__(self, url: str, **options: Any) -> None:
        """Read the address; nothing is opened before the first command."""
        named = {
            "socket_timeout": TIMEOUT_SECONDS,
            "socket_connect_timeout": TIMEOUT_SECONDS,
            # CLIENT SETINFO would cost every new connection two more round trips.
            "driver_info": None,
            # RESP2: nothing is pushed, so an answer is always the answer to the last command.
            "protocol": 2,
            **options,
            **parse_url(url),  # type: ignore[no-untyped-call]  # redis-py's own
        }
        self._connection_class = named.pop("connection_class", Connection)
        self._options = named
        self._idle: deque[Connection] = deque(maxlen=MOST_IDLE_CONNECTIONS)
        self._pid = os.getpid()
        self.breaker = CircuitBreaker()

    def call(self, *command: Argument) -> Any:
        """Send one command and give its answer, in one round trip."""
        if not self.breaker.admits(now=time.monotonic()):
            raise StoreUnavailable("The store is not asked again yet after a failure.")
        try:
            answer = self._exchange(command)
        except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as failure:
            self.breaker.fail(now=time.monotonic())
            raise StoreUnavailable(f"The store failed with {type(failure).__name__}.") from failure
        except exceptions.RedisError as failure:
            self.breaker.succeed()
            if isinstance(failure, exceptions.NoScriptError):
                raise
            # The class only: the store's own words may hold keys.
            raise CommandRefused(f"The store answered {type(failure).__name__}.") from failure
        self.breaker.succeed()
        return answer

    def run(self, script: Script, keys: list[str], *arguments: Argument) -> Any:
        """Run a script: one round trip, and one more only where the server does not know it yet."""
        try:
            return self.call("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except exceptions.NoScriptError:
            return self.call("EVAL", script.source, len(keys), *keys, *arguments)

    def _exchange(self, command: tuple[Argument, ...]) -> Any:
        connection = self._take()
        if connection is None:
            return self._exchange_on(self._connect(), command)
        try:
            return self._exchange_on(connection, command)
        except exceptions.ConnectionError:
            # It died while it lay idle. The others of its age died with it.
            self._idle.clear()
            return self._exchange_on(self._connect(), command)

    def _exchange_on(self, connection: Connection, command: tuple[Argument, ...]) -> Any:
        try:
            packed = connection.pack_command(*command)  # type: ignore[no-untyped-call]  # redis-py's own
            connection.send_packed_command(packed, check_health=False)  # type: ignore[no-untyped-call]
            answer = connection.read_response()
        except exceptions.ResponseError:
            self._idle.append(connection)
            raise
        except BaseException:
            # An answer that is still on its way must never be read as another command's.
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise
        self._idle.append(connection)
        return answer

    def _connect(self) -> Connection:
        connection: Connection = self._connection_class(**self._options)
        connection.connect_check_health(check_health=False, retry_socket_connect=False)
        return connection

    def _take(self) -> Connection | None:
        if self._pid != os.getpid():
            # A fork shares its parent's sockets; answers would go to whoever reads first.
            self._idle.clear()
            self._pid = os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return None
