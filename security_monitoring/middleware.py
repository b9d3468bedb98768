"""Health answers before everything that a request may fail on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async

from garrison.middleware import SyncAsyncMiddleware
from security_monitoring import views

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse, HttpResponseBase

ANSWERS: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/health": views.alive,
    "/health/ready": views.ready,
}


class HealthMiddleware(SyncAsyncMiddleware):
    """Answer ``/health`` and ``/health/ready`` early.

    A probe names no host of the site, comes by plain HTTP, carries no session and must not be
    limited; so the answer is given before anything looks at these. Place it behind what sets
    security headers, and before sessions. The same paths in ``security_monitoring.urls`` serve a
    host that leaves the middleware out.
    """

    def serve(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a probe, or pass the request on."""
        answer = ANSWERS.get(request.path_info)
        return answer(request) if answer else self.get_response(request)  # type: ignore[return-value]

    async def aserve(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a probe off the event loop, or pass the request on."""
        answer = ANSWERS.get(request.path_info)
        if answer:
            return await sync_to_async(answer)(request)
        response: HttpResponseBase = await self.get_response(request)  # type: ignore[misc]
        return response
