"""The RSGI entry point, which granian serves: the site's WSGI application behind a reader of ours.

granian's own WSGI interface leaves out what this one does:

* Field names with an underscore are dropped, for WSGI makes one key of ``X_Forwarded_For`` and
  ``X-Forwarded-For``, and then a client's field stands where its proxy's stood.
* A body is read before a thread is taken, and has a deadline: clients that stop half-way occupy a
  connection, and no thread. How many may be open is bounded (``config.request_body``).
* An application that breaks is answered as problem+json.

Bodies are kept in memory and are as long as ``DATA_UPLOAD_MAX_MEMORY_SIZE`` at most; a longer one
reaches the application unread, which refuses it by its length.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from django.conf import settings
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]  # re-exported unannounced

from config.environment import env
from config.request_body import BodyReader
from config.wsgi import application as wsgi_application
from garrison import client_ip, context
from garrison.errors import PROBLEM_JSON, Refusal
from garrison.middleware import LONGEST_PATH
from http_hardening.headers import NOTHING_LOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import WSGIApplication

    from granian._granian import RSGIHTTPProtocol as HTTPProtocol
    from granian.rsgi import Scope

JOINED_BYTES = 1024 * 1024  # an answer of a known length up to here is sent in one piece
logger = logging.getLogger("garrison.server")
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
# With one byte that is no ASCII granian hands a field over by name only. Where the proxy has added
# the client's address to it, the request would count as the proxy's own.
FORWARDED = {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}
UNPREFIXED = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


class UnreadableField(Refusal):
    """A field that says where the request comes from cannot be read."""

    code = "field_unreadable"
    status = 400
    title = "A field of the request cannot be read"


class Broken(Refusal):
    """The application raised where Django itself catches nothing any more."""

    code = "internal_error"
    status = 500
    title = "Something went wrong on our side"


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


def _require_readable(scope: Scope, environ: dict[str, Any]) -> None:
    for name in scope.headers.keys():  # noqa: SIM118 - no dict: it alone names what is no ASCII
        if name in FORWARDED and f"HTTP_{name.replace('-', '_').upper()}" not in environ:
            raise UnreadableField(f"{name} holds a byte that is no ASCII.")


def _address(text: str) -> tuple[str, str]:
    """Split ``127.0.0.1:8000`` and ``[::1]:8000``; a Unix socket has no port."""
    host, colon, port = text.rpartition(":")
    return (host.strip("[]"), port) if colon else (text, "0")


class _Head:
    """Status and fields of an answer, as WSGI's ``start_response`` is told them."""

    is_sent = False  # from then on, what breaks can no longer be answered

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

    def __init__(self, application: WSGIApplication, *, threads: int, bodies: BodyReader) -> None:
        """Keep what serves."""
        self.application = application
        self.threads = threads
        self.bodies = bodies
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
            _require_readable(scope, environ)
            environ["wsgi.input"] = await self.bodies.read(
                protocol,
                told_length=scope.headers.get("content-length") or "",
                address=_counted_address(environ),
            )
        except Refusal as refusal:
            _refuse(protocol, refusal, environ)
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
        loop, head, failure = answered.get_loop(), _Head(), None
        try:
            self._answer(environ, protocol, head, loop)
        except BaseException as broken:  # noqa: BLE001 - this thread goes on, whatever broke
            if head.is_sent:
                failure = broken  # granian logs it, and breaks the answer off
            else:
                _answer_broken(protocol, broken)
        loop.call_soon_threadsafe(_settle, answered, failure)

    def _answer(
        self,
        environ: dict[str, Any],
        protocol: HTTPProtocol,
        head: _Head,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        chunks: Iterable[bytes] = ()
        try:
            chunks = self.application(environ, head)
            if head.length is not None and head.length <= JOINED_BYTES:
                body = b"".join(chunks)
                head.is_sent = True
                protocol.response_bytes(head.status, head.fields, body)
            elif environ["REQUEST_METHOD"] == "HEAD":  # nothing may follow
                head.is_sent = True
                protocol.response_empty(head.status, head.fields)
            else:
                head.is_sent = True
                transport = protocol.response_stream(head.status, head.fields)
                for chunk in chunks:
                    asyncio.run_coroutine_threadsafe(_send(transport, chunk), loop).result()
                # Its end is the answer's, and the traceback of a failure that the application has
                # survived may keep this frame, with all it names, until garbage is collected.
                del transport
        finally:
            if close := getattr(chunks, "close", None):
                close()


def _settle(answered: asyncio.Future[Any], failure: BaseException | None) -> None:
    if not answered.done():
        answered.set_result(failure)


async def _send(transport: Any, chunk: bytes) -> None:
    await transport.send_bytes(chunk)


def _counted_address(environ: dict[str, Any]) -> str:
    """Return whose bodies count together; all that come by a Unix socket are one's."""
    address = client_ip.client_ip(environ)
    return client_ip.bucket(address) if address else ""


def _answer_broken(protocol: HTTPProtocol, broken: BaseException) -> None:
    request_id = context.new_request_id()
    fields = {"request_id": request_id}
    logger.error("The application broke", exc_info=broken, extra={"fields": fields})
    _send_refusal(protocol, Broken(), request_id=request_id)


def _refuse(protocol: HTTPProtocol, refusal: Refusal, environ: dict[str, Any]) -> None:
    request_id = context.new_request_id()
    fields = {
        "request_id": request_id,
        "ip": client_ip.client_ip(environ),
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"].encode("latin-1").decode(errors="replace")[:LONGEST_PATH],
        "status": refusal.status,
        "code": refusal.code,
    }
    logger.warning("A request was refused unread", extra={"fields": fields})
    _send_refusal(protocol, refusal, request_id=request_id)


def _send_refusal(protocol: HTTPProtocol, refusal: Refusal, *, request_id: str) -> None:
    body = json.dumps(refusal.problem(request_id=request_id)).encode()
    fields = [*REFUSAL_FIELDS, ("X-Request-ID", request_id)]
    if refusal.retry_after_seconds is not None:
        fields.append(("Retry-After", str(refusal.retry_after_seconds)))
    protocol.response_bytes(refusal.status, fields, body)


application = RSGIApplication(
    wsgi_application,
    threads=settings.WEB_THREADS,
    bodies=BodyReader(
        longest=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
        for_an_address=env.int("WEB_BODIES_PER_ADDRESS", 64),  # docs/running.md
        in_all=env.int("WEB_BODIES", 256),
    ),
)
