"""The RSGI entry point, which granian serves: the site's WSGI application behind a reader of ours.

granian's own WSGI interface leaves out what this one does:

* Field names with an underscore are dropped, for WSGI makes one key of ``X_Forwarded_For`` and
  ``X-Forwarded-For``, and then a client's field stands where its proxy's stood.
* A body is read before a thread is taken, and has a deadline: clients that stop half-way occupy a
  connection, and no thread.

Bodies are kept in memory and are as long as ``DATA_UPLOAD_MAX_MEMORY_SIZE`` at most; a longer one
reaches the application unread, which refuses it by its length.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]  # re-exported unannounced

from config.environment import env
from config.wsgi import application as wsgi_application
from garrison import context
from garrison.errors import PROBLEM_JSON, problem
from http_hardening.headers import NOTHING_LOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import WSGIApplication

    from granian._granian import RSGIHTTPProtocol as HTTPProtocol
    from granian.rsgi import Scope

BODY_SECONDS = 10  # to begin with, and then
BODY_BYTES_A_SECOND = 16 * 1024  # as slow as a body may come
JOINED_BYTES = 1024 * 1024  # an answer of a known length up to here is sent in one piece
ALWAYS: dict[str, Any] = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}
REFUSAL_FIELDS = [  # of an answer that no middleware sees
    ("Content-Type", PROBLEM_JSON),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", NOTHING_LOADS),
    ("Referrer-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
    ("Server", ""),
]
UNPREFIXED = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


class UnreadBody(io.RawIOBase):
    """The input of a request whose body is longer than the site reads."""

    def readable(self) -> bool:
        """Let itself be asked."""
        return True

    def readinto(self, _buffer: Any) -> int:
        """Refuse, as Django does where the length alone has not made it refuse."""
        raise RequestDataTooBig("The body is longer than DATA_UPLOAD_MAX_MEMORY_SIZE.")


def environ_of(scope: Scope) -> dict[str, Any]:
    """Describe a request as WSGI does (PEP 3333), without the fields whose names are ambiguous."""
    host, port = _address(scope.server)
    environ = {
        **ALWAYS,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "REMOTE_ADDR": _address(scope.client)[0],
        "wsgi.url_scheme": scope.scheme,
    }
    for name, value in scope.headers.items():
        if "_" not in name:
            key = UNPREFIXED.get(name) or f"HTTP_{name.replace('-', '_').upper()}"
            joint = "; " if name == "cookie" else ","
            environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
    environ.setdefault("HTTP_HOST", scope.authority or "")
    return environ


def _address(text: str) -> tuple[str, str]:
    """Split ``127.0.0.1:8000`` and ``[::1]:8000``; a Unix socket has no port."""
    host, colon, port = text.rpartition(":")
    return (host.strip("[]"), port) if colon else (text, "0")


async def read_body(scope: Scope, protocol: HTTPProtocol, longest: int | None) -> io.IOBase:
    """Read a body whose length is told; raises ``TimeoutError`` where it comes too slowly.

    A body of no told length is left unread, as WSGI has it.
    """
    told = scope.headers.get("content-length") or ""
    length = int(told) if told.isascii() and told.isdigit() else 0
    if longest is not None and length > longest:
        return io.BufferedReader(UnreadBody())
    if not length:
        return io.BytesIO()
    async with asyncio.timeout(BODY_SECONDS + length / BODY_BYTES_A_SECOND):
        return io.BytesIO(await protocol())


class _Head:
    """Status and fields of an answer, as WSGI's ``start_response`` is told them."""

    def __call__(
        self, status: str, fields: list[tuple[str, str]], _failure: Any = None
    ) -> Callable[[bytes], object]:
        self.status = int(status.split(" ", 1)[0])
        self.fields = fields
        told = next((value for name, value in fields if name.lower() == "content-length"), "")
        self.length = int(told) if told.isdigit() else None
        return _refuse_to_write


def _refuse_to_write(_data: bytes) -> object:
    raise NotImplementedError("Django returns what it answers; it never writes.")


class RSGIApplication:
    """A WSGI application, answering in ``threads`` threads, each of which serves one request.

    A queue of its own, for an executor's futures cost as much as all else here together.
    """

    def __init__(
        self, application: WSGIApplication, *, threads: int, longest_body: int | None
    ) -> None:
        """Keep what serves."""
        self.application = application
        self.threads = threads
        self.longest_body = longest_body
        self.waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def __rsgi_init__(self, _loop: asyncio.AbstractEventLoop) -> None:
        """Start the threads with the worker."""
        for number in range(self.threads):
            Thread(target=self._work, name=f"web-{number}", daemon=True).start()

    def __rsgi_del__(self, _loop: asyncio.AbstractEventLoop) -> None:
        """End the threads with the worker."""
        for _ in range(self.threads):
            self.waiting.put(None)

    def _work(self) -> None:
        while (request := self.waiting.get()) is not None:
            request()

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Serve one request."""
        environ = environ_of(scope)
        try:
            environ["wsgi.input"] = await read_body(scope, protocol, self.longest_body)
        except TimeoutError:
            _refuse_slow_body(protocol)
            return
        except ProtocolClosed:  # the client has gone: there is nobody to answer
            return
        loop = asyncio.get_running_loop()
        answered = loop.create_future()
        self.waiting.put(partial(self._serve, environ, protocol, answered))
        if failure := await answered:
            raise failure

    def _serve(
        self, environ: dict[str, Any], protocol: HTTPProtocol, answered: asyncio.Future[Any]
    ) -> None:
        loop, failure = answered.get_loop(), None
        try:
            self._answer(environ, protocol, loop)
        except BaseException as broken:  # noqa: BLE001 - granian logs it, and answers 500
            failure = broken
        loop.call_soon_threadsafe(_settle, answered, failure)

    def _answer(
        self, environ: dict[str, Any], protocol: HTTPProtocol, loop: asyncio.AbstractEventLoop
    ) -> None:
        head = _Head()
        chunks: Iterable[bytes] = ()
        try:
            chunks = self.application(environ, head)
            if head.length is not None and head.length <= JOINED_BYTES:
                protocol.response_bytes(head.status, head.fields, b"".join(chunks))
            else:
                transport = protocol.response_stream(head.status, head.fields)
                for chunk in chunks:
                    asyncio.run_coroutine_threadsafe(_send(transport, chunk), loop).result()
        finally:
            if close := getattr(chunks, "close", None):
                close()


def _settle(answered: asyncio.Future[Any], failure: BaseException | None) -> None:
    if not answered.done():
        answered.set_result(failure)


async def _send(transport: Any, chunk: bytes) -> None:
    await transport.send_bytes(chunk)


def _refuse_slow_body(protocol: HTTPProtocol) -> None:
    body = problem(
        code="body_too_slow",
        status=408,
        title="The body came too slowly",
        detail="The body did not arrive in time. Send the request again.",
        request_id=context.new_request_id(),
    )
    protocol.response_bytes(408, REFUSAL_FIELDS, json.dumps(body).encode())


application = RSGIApplication(
    wsgi_application,
    threads=env.int("WEB_THREADS", 4),  # docs/running.md
    longest_body=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
)
