"""Counts named views that are no API's, such as the admin's sign-in, and sets the headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.http import HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers

from garrison import context
from garrison.errors import PROBLEM_JSON
from garrison.middleware import SyncAsyncMiddleware
from rate_limiting import requests
from rate_limiting.decorators import count_view
from rate_limiting.errors import LimiterUnavailable, RateLimited
from rate_limiting.policy import counted_views

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

PAGE = "text/html"
FORMS = (PAGE, PROBLEM_JSON, "application/json")  # the first is for whoever takes anything
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# Django's sign-in redirects a success, and shows a failure as 200.
SIGNED_IN = frozenset({302, 303})


class RateLimitMiddleware(SyncAsyncMiddleware):
    """Stand below the authentication middleware, so that a signed-in person is known."""

    def serve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        response: HttpResponseBase = self.get_response(request)  # type: ignore[assignment]
        requests.finish(request, response)
        return response

    async def aserve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        response: HttpResponseBase = await self.get_response(request)  # type: ignore[misc]
        if hasattr(request, requests.ATTRIBUTE):
            await sync_to_async(requests.finish)(request, response)
        return response

    def process_view(
        self,
        request: HttpRequest,
        view: object,
        args: tuple[Any, ...],  # noqa: ARG002 - Django's signature
        kwargs: dict[str, Any],  # noqa: ARG002 - Django's signature
    ) -> HttpResponse | None:
        """Count what is sent to a view that an app or ``RATE_LIMITING_VIEWS`` names."""
        if request.method not in UNSAFE or request.resolver_match is None:
            return None
        scope = counted_views().get(request.resolver_match.view_name)
        if scope is None:
            return None
        try:
            count_view(request, view, scope=scope, refund_statuses=SIGNED_IN)
        except (RateLimited, LimiterUnavailable) as refusal:
            return answer(request, refusal)
        return None


def answer(request: HttpRequest, refusal: RateLimited | LimiterUnavailable) -> HttpResponse:
    """Answer a refusal: a page to a browser or whoever takes anything, else problem+json."""
    if request.get_preferred_type(FORMS) == PAGE:
        page = render_to_string("rate_limiting/refused.html", {"refusal": refusal}, request)
        response = HttpResponse(page, status=refusal.status)
    else:
        body = refusal.problem(request_id=context.current().request_id)
        response = JsonResponse(body, status=refusal.status, content_type=PROBLEM_JSON)
    response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    response.headers["Cache-Control"] = "no-store"
    patch_vary_headers(response, ["Accept"])
    return response
