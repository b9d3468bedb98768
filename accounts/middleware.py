"""The cookie by which a browser is known as a trusted device."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings as django_settings

from accounts import devices
from accounts.conf import settings
from garrison.middleware import SyncAsyncMiddleware

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase


class TrustedDeviceMiddleware(SyncAsyncMiddleware):
    """Set the cookie on the answer to a complete sign-in; nothing is read and nothing is asked."""

    def serve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        expect_token(request)
        return set_cookie(request, self.get_response(request))  # type: ignore[arg-type]

    async def aserve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        expect_token(request)
        return set_cookie(request, await self.get_response(request))  # type: ignore[misc]


def expect_token(request: HttpRequest) -> None:
    """Note that a token can be handed out: elsewhere none is made for a browser."""
    setattr(request, devices.NEW_TOKEN_ATTRIBUTE, "")


def set_cookie(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Set what was handed out; to be read by no script, and sent by no other site's page."""
    if token := getattr(request, devices.NEW_TOKEN_ATTRIBUTE, ""):
        response.set_cookie(
            settings.device_cookie_name,
            token,
            max_age=timedelta(days=settings.trusted_device_days),
            secure=bool(django_settings.SESSION_COOKIE_SECURE),
            httponly=True,
            samesite="Strict",
        )
    return response
