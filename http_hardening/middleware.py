"""Hardens every answer, and turns away the few requests that no view could survive."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from http_hardening.answers import answer
from http_hardening.errors import NulCharacter
from http_hardening.headers import harden

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest, HttpResponseBase


class HeadersMiddleware:
    """Set the headers of :mod:`http_hardening.headers` on every answer.

    Must stand above ``SecurityMiddleware`` and WhiteNoise, so that redirects and static files are
    hardened too. A NUL character in an address is answered with 400 before any view sees it: no
    column of PostgreSQL takes one, so it would end as an error of ours.
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
        if self.is_async:
            return self._acall(request)
        response: HttpResponseBase = _turned_away(request) or self.get_response(request)  # type: ignore[assignment]
        harden(request, response)
        return response

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = _turned_away(request) or await self.get_response(request)  # type: ignore[misc]
        harden(request, response)
        return response


def _turned_away(request: HttpRequest) -> HttpResponseBase | None:
    if "\x00" not in request.path_info and "%00" not in request.META.get("QUERY_STRING", ""):
        return None
    return answer(request, status=400, code=NulCharacter.code, detail=f"{NulCharacter.title}.")
