"""Hardens every answer, and turns away the few requests that no view could survive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from garrison.errors import Refusal
from garrison.middleware import SyncAsyncMiddleware
from http_hardening.answers import answer, complete, wants_json
from http_hardening.errors import LengthRequired, NulCharacter
from http_hardening.headers import harden
from http_hardening.outages import logged_answer

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse, HttpResponseBase


class HeadersMiddleware(SyncAsyncMiddleware):
    """Set the headers of :mod:`http_hardening.headers` on every answer.

    Must stand above ``SecurityMiddleware`` and WhiteNoise, so that redirects and static files are
    hardened too. Two kinds of requests are answered before any view sees them: a NUL character in
    an address (400; no column of PostgreSQL takes one, so it would end as an error of ours), and a
    body without a length (411; WSGI and DRF read it as empty, and would obey half a request).
    A view that has lost the database is answered 503, with ``DEBUG`` on too; an empty 405 of Django
    is filled in.
    """

    def serve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        response: HttpResponseBase = _turned_away(request) or self.get_response(request)  # type: ignore[assignment]
        complete(request, response)
        harden(request, response)
        return response

    async def aserve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        response: HttpResponseBase = _turned_away(request) or await self.get_response(request)  # type: ignore[misc]
        complete(request, response)
        harden(request, response)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer a lost database, and a person's refusal by a page; leave anything else alone."""
        asks_for_page = "text/html" in request.headers.get("Accept", "")
        if isinstance(exception, Refusal) and asks_for_page and not wants_json(request):
            return answer(request, status=exception.status, detail=exception.detail)
        return logged_answer(request, exception)


def _turned_away(request: HttpRequest) -> HttpResponseBase | None:
    meta = request.META
    refusal: type[Refusal]
    if "\x00" in request.path_info or "%00" in meta.get("QUERY_STRING", ""):
        refusal = NulCharacter
    elif "HTTP_TRANSFER_ENCODING" in meta and not meta.get("CONTENT_LENGTH"):
        refusal = LengthRequired
    else:
        return None
    return answer(request, status=refusal.status, code=refusal.code, detail=f"{refusal.title}.")
