"""The shell every middleware has, and the outermost one.

That one binds the context, sets the request id, and sends deferred events when all is over.
"""

from __future__ import annotations

import abc
import asyncio
import logging
import re
import sys
from contextlib import contextmanager
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import JsonResponse
from django.utils import timezone
from django.utils.log import log_response

from garrison import client_ip, context, proxies
from garrison.deferral import Deferral
from garrison.errors import PROBLEM_JSON, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from django.http import HttpRequest, HttpResponse, HttpResponseBase

logger = logging.getLogger("garrison.requests")

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
# W3C Trace Context 1, 3.2: a version after 00 may say more, behind what this one reads.
TRACEPARENT = re.compile(
    rf"(?!ff)(?P<version>[0-9a-f]{{2}})-(?P<trace_id>{TRACE_ID.pattern})"
    r"-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
NOT_SAMPLED = "00"
LONGEST_PATH = 1024
CLIENT_CLOSED_REQUEST = 499  # nginx's number for a client that hung up; none is answered


class SyncAsyncMiddleware(abc.ABC):
    """The shell of a middleware that serves a site run by WSGI as well as by ASGI.

    A subclass says what it does in ``serve`` and in ``aserve``; the layer below it is
    ``get_response``, which the latter awaits.
    """

    sync_capable: ClassVar[bool] = True
    async_capable: ClassVar[bool] = True

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
    ) -> None:
        """Keep the next layer, and be a coroutine function where it is one."""
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request."""
        return self.aserve(request) if self.is_async else self.serve(request)

    @abc.abstractmethod
    def serve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve a request where the layers below are functions."""

    @abc.abstractmethod
    async def aserve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve a request where the layers below are coroutine functions."""


class RequestContextMiddleware(SyncAsyncMiddleware):
    """Bind the request context, answer ``X-Request-ID``, send deferred events after the view.

    Before all, what proxies forward is resolved by :mod:`garrison.proxies`, for every layer below.
    Must stand first in ``MIDDLEWARE``. An inbound ``X-Request-ID`` is believed only from a trusted
    proxy, so that a client cannot forge the correlation of somebody else's request.
    """

    def serve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        deferral = Deferral()
        try:
            with _request_scope(request, deferral) as answered:
                response: HttpResponseBase = self.get_response(request)  # type: ignore[assignment]
                answered(response)
            return response
        finally:
            deferral.close()

    def process_exception(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        exception: Exception,
    ) -> HttpResponseBase | None:
        """Answer a refusal that no API layer has answered, in the form of RFC 9457."""
        if not isinstance(exception, Refusal):
            return None
        body = exception.problem(request_id=context.current().request_id)
        response = JsonResponse(body, status=exception.status, content_type=PROBLEM_JSON)
        response["Cache-Control"] = "no-store"
        if exception.retry_after_seconds is not None:
            response["Retry-After"] = str(exception.retry_after_seconds)
        return response

    async def aserve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        deferral = Deferral()
        try:
            with _request_scope(request, deferral) as answered:
                response: HttpResponseBase = await self.get_response(request)  # type: ignore[misc]
                answered(response)
            return response
        finally:  # also where the client has hung up, and the server cancels this task
            await deferral.aclose()


@contextmanager
def _request_scope(
    request: HttpRequest, deferral: Deferral
) -> Iterator[Callable[[HttpResponseBase], None]]:
    proxies.resolve(request)
    known = context_of(request)
    started = perf_counter()
    request.request_id = known.request_id  # type: ignore[attr-defined]  # for templates and views
    answers: list[HttpResponseBase] = []
    with context.bound(known), deferral.bound():
        try:
            yield answers.append
        finally:
            # For what Django logs when we have ended, with who it turned out to be.
            request.request_context = context.current()  # type: ignore[attr-defined]
            for response in answers:
                response["X-Request-ID"] = known.request_id
                _log_refusal(request, response)
            if logger.isEnabledFor(logging.INFO):
                _log(request, answers, milliseconds=(perf_counter() - started) * 1000)


def _log_refusal(request: HttpRequest, response: HttpResponseBase) -> None:
    """Log a 503 that was meant, and says when to come back, before Django logs it as an error.

    A host's AdminEmailHandler would mail each sign-in that finds every hashing slot taken.
    """
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE and "Retry-After" in response.headers:
        words = (response.reason_phrase, request.path)
        answer = cast("HttpResponse", response)
        log_response("%s: %s", *words, response=answer, request=request, level="warning")


def _log(request: HttpRequest, answers: list[HttpResponseBase], *, milliseconds: float) -> None:
    """Write the request's line: never its query, which may hold a token, and never a body."""
    path, method = request.path[:LONGEST_PATH], request.method or ""
    fields: dict[str, object] = {
        "event": "request",
        "method": method,
        "path": path,
        "status": answers[0].status_code if answers else _unanswered(),
        "duration_ms": round(milliseconds, 1),
    }
    if answers and (length := answers[0].get("Content-Length", "")).isdigit():
        fields["bytes"] = int(length)
    # ascii(): a host may format this by itself, and %0A in a path would begin a line there.
    words = (ascii(f"{method} {path}"), fields["status"], milliseconds)
    logger.info("%s %s %.1f ms", *words, extra={"fields": fields})


def _unanswered() -> int:
    hung_up = isinstance(sys.exception(), asyncio.CancelledError)
    return CLIENT_CLOSED_REQUEST if hung_up else HTTPStatus.INTERNAL_SERVER_ERROR.value


def context_of(request: HttpRequest) -> context.RequestContext:
    """Read the context off a request; control characters never reach it."""
    meta = request.META
    agent = str(meta.get("HTTP_USER_AGENT") or "")[: context.LONGEST_USER_AGENT]
    request_id = _request_id(meta)
    trace_id, trace_flags = _trace(meta, request_id)
    return context.RequestContext(
        request_id=request_id,
        ip=client_ip.client_ip(meta),
        user_agent=agent if agent.isprintable() else "".join(filter(str.isprintable, agent)),
        started_at=timezone.now(),
        trace_id=trace_id,
        trace_flags=trace_flags,
    )


def _request_id(meta: dict[str, object]) -> str:
    inbound = str(meta.get("HTTP_X_REQUEST_ID") or "")
    if inbound and REQUEST_ID.fullmatch(inbound) and client_ip.peer_is_trusted(meta):
        return inbound
    return context.new_request_id()


def _trace(meta: dict[str, object], request_id: str) -> tuple[str, str]:
    """Go on with a trusted proxy's trace, or begin one: under the request's own id if it may be."""
    inbound = str(meta.get("HTTP_TRACEPARENT") or "")
    told = TRACEPARENT.fullmatch(inbound) if inbound and client_ip.peer_is_trusted(meta) else None
    if told and not (told["more"] and told["version"] == "00"):
        return told["trace_id"], told["flags"]
    begun = request_id if TRACE_ID.fullmatch(request_id) else context.new_request_id()
    return begun, NOT_SAMPLED
