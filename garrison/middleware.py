"""The shell every middleware has, and the outermost one.

That one binds the context, gives out the request id, and writes refusals when all is over.
"""

from __future__ import annotations

import abc
import logging
import re
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import JsonResponse
from django.utils import timezone

from garrison import client_ip, context, events, proxies
from garrison.errors import PROBLEM_JSON, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from django.http import HttpRequest, HttpResponseBase

logger = logging.getLogger("garrison.requests")

REQUEST_ID = re.compile(r"^[A-Za-z0-9_-]{8,64}$", re.ASCII)


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
    """Bind the request context, answer ``X-Request-ID``, write refusals after the view has ended.

    Before all, what proxies forward is resolved by :mod:`garrison.proxies`, for every layer below.
    Must stand first in ``MIDDLEWARE``. An inbound ``X-Request-ID`` is believed only from a trusted
    proxy, so that a client cannot forge the correlation of somebody else's request.
    """

    def serve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        with _request_scope(request) as (known, kept):
            response: HttpResponseBase = self.get_response(request)  # type: ignore[assignment]
            response["X-Request-ID"] = known.request_id
        events.send_kept(kept)
        return response

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
        if exception.retry_after_seconds is not None:
            response["Retry-After"] = str(exception.retry_after_seconds)
        return response

    async def aserve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        with _request_scope(request) as (known, kept):
            response: HttpResponseBase = await self.get_response(request)  # type: ignore[misc]
            response["X-Request-ID"] = known.request_id
        if kept:
            await sync_to_async(events.send_kept)(kept)
        return response


@contextmanager
def _request_scope(
    request: HttpRequest,
) -> Iterator[tuple[context.RequestContext, list[events.SecurityEvent]]]:
    proxies.resolve(request)
    known = context_of(request)
    started = perf_counter()
    token = context.bind(known)
    kept, stop_keeping = events.open_kept()
    request.request_id = known.request_id  # type: ignore[attr-defined]  # for templates and views
    try:
        yield known, kept
    finally:
        stop_keeping()
        context.unbind(token)
        if logger.isEnabledFor(logging.DEBUG):
            milliseconds = (perf_counter() - started) * 1000
            logger.debug("%s %s %.1f ms", request.method, known.request_id, milliseconds)


def context_of(request: HttpRequest) -> context.RequestContext:
    """Read the context off a request; control characters never reach it."""
    meta = request.META
    agent = str(meta.get("HTTP_USER_AGENT") or "")[: context.LONGEST_USER_AGENT]
    return context.RequestContext(
        request_id=_request_id(meta),
        ip=client_ip.client_ip(meta),
        user_agent=agent if agent.isprintable() else "".join(filter(str.isprintable, agent)),
        started_at=timezone.now(),
    )


def _request_id(meta: dict[str, object]) -> str:
    inbound = str(meta.get("HTTP_X_REQUEST_ID") or "")
    if inbound and REQUEST_ID.match(inbound) and client_ip.peer_is_trusted(meta):
        return inbound
    return context.new_request_id()
