"""Cookie sessions are looked up with their user, and a 401 says how to authenticate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.utils.functional import SimpleLazyObject

from garrison.middleware import SyncAsyncMiddleware
from sessions_tracking.browsers import user_of_cookie

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

UNAUTHENTICATED = 401
BEARER = 'Bearer realm="api"'
BEARER_REFUSED = f'{BEARER}, error="invalid_token"'  # RFC 6750 §3.1


class TrackedSessionMiddleware(SyncAsyncMiddleware):
    """Let a cookie session live only as long as its row, and answer every 401 with a challenge.

    Must stand after Django's ``AuthenticationMiddleware``, whose lazy ``request.user`` it replaces
    for requests that carry a session cookie. A request that never asks for its user costs nothing.
    """

    def serve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        track(request)
        return challenge(request, self.get_response(request))  # type: ignore[arg-type]

    async def aserve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        track(request)
        return challenge(request, await self.get_response(request))  # type: ignore[misc]


def track(request: HttpRequest) -> None:
    """Replace the request's lazy user by one that asks for the row too."""
    if django_settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return

    def user() -> Any:
        if not hasattr(request, "_cached_user"):  # where Django keeps it too
            request._cached_user = user_of_cookie(request)  # type: ignore[attr-defined]
        return request._cached_user  # type: ignore[attr-defined]

    request.user = SimpleLazyObject(user)  # type: ignore[assignment]
    request.auser = sync_to_async(user)


def challenge(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Challenge with every 401: a bearer token is wanted (RFC 9110 §11.6.1, RFC 6750 §3)."""
    if response.status_code == UNAUTHENTICATED and "WWW-Authenticate" not in response:
        response["WWW-Authenticate"] = bearer_challenge(request)
    return response


def bearer_challenge(request: HttpRequest) -> str:
    """Return the challenge; it blames the token only where one was sent (RFC 6750 §3.1)."""
    scheme = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")[0]
    return BEARER_REFUSED if scheme.lower() == "bearer" else BEARER
