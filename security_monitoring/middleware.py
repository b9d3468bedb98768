"""Health answers before everything that a request may fail on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async

from security_monitoring import views

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest, HttpResponse, HttpResponseBase

ANSWERS: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/health": views.alive,
    "/health/ready": views.ready,
}


class HealthMiddleware:
    """Answer ``/health`` and ``/health/ready`` early.

    A probe names no host of the site, comes by plain HTTP, carries no session and must not be
    limited; so the answer is given before anything looks at these. Place it behind what sets
    security headers, and before sessions. The same paths in ``security_monitoring.urls`` serve a
    host that leaves the middleware out.
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
        """Answer a probe, or pass the request on."""
        answer = ANSWERS.get(request.path_info)
        if answer is None:
            return self.get_response(request)
        return sync_to_async(answer)(request) if self.is_async else answer(request)
