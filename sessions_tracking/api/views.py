"""Endpoints: each an operation on one service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.http import JsonResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from http_hardening.api.operations import operation
from http_hardening.api.strict_view import PublicAPIView, StrictAPIView
from sessions_tracking import services
from sessions_tracking.api.serializers import (
    EndedOutput,
    LogoutAllInput,
    RefreshInput,
    SessionOutput,
    TokenPairOutput,
)
from sessions_tracking.conf import settings
from sessions_tracking.errors import (
    RefreshReused,
    SessionEnded,
    SessionNotFound,
    TokenExpired,
    TokenInvalid,
)
from sessions_tracking.models import Session
from sessions_tracking.signing_keys import public_jwks

if TYPE_CHECKING:
    import uuid

    from django.http import HttpRequest

SIGNED_OUT = "signed_out"
ENDED_BY_OWNER = "ended_by_owner"


# A refusal ends the session at once, so no transaction around the view may undo it.
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class RefreshView(PublicAPIView):
    """Exchange a refresh token for the next pair of tokens.

    The limit counts failures only, so an office behind one address is not locked out by its own
    clients; guessing a token is hopeless at any rate.
    """

    throttle_refunds_success = True

    @operation(
        body=RefreshInput,
        returns=TokenPairOutput,
        refuses=(TokenInvalid, TokenExpired, SessionEnded, RefreshReused),
    )
    def post(self, *, refresh: str) -> Any:
        """Exchange the refresh token for new tokens; the one that was sent is void afterwards."""
        return services.rotate(refresh_token=refresh)


class LogoutView(StrictAPIView):
    """Sign out."""

    signs_out = True

    @operation()
    def post(self) -> None:
        """End the session that asks; its access token is refused from the next request on."""
        if current := services.current_session(self.request):
            services.end_session(session_id=current.pk, reason=SIGNED_OUT)


class SessionListView(StrictAPIView):
    """The caller's signed-in devices."""

    @operation(returns=SessionOutput, many=True)
    def get(self) -> Any:
        """List one's sessions, last used first; never more than ``SESSIONS_MOST_PER_USER``."""
        alive = Session.objects.alive(now=timezone.now()).of_user(self.request.user)
        return alive.order_by("-last_seen_at", "pk")[: settings.most_per_user]


class SessionView(StrictAPIView):
    """One of the caller's signed-in devices."""

    @operation(refuses=(SessionNotFound,))
    def delete(self, session_id: uuid.UUID) -> None:
        """End one session; one of somebody else is as unknown as one that never was."""
        alive = Session.objects.alive(now=timezone.now()).of_user(self.request.user)
        if not alive.filter(pk=session_id).exists():
            raise SessionNotFound
        services.end_session(session_id=session_id, reason=ENDED_BY_OWNER)


class LogoutAllView(StrictAPIView):
    """Sign out everywhere."""

    @operation(body=LogoutAllInput, returns=EndedOutput)
    def post(self, *, include_current: bool) -> dict[str, int]:
        """End the caller's other sessions, and with ``include_current`` this one too."""
        self.signs_out = include_current
        current = services.current_session(self.request)
        spared = current.pk if current and not include_current else None
        ended = services.end_sessions(
            user=self.request.user, reason=ENDED_BY_OWNER, except_session_id=spared
        )
        return {"ended": ended}


@csrf_exempt  # so that another method is a 405; nothing is changed here
@require_safe
@cache_control(public=True, max_age=300)
def jwks(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """Publish the public keys of access tokens (RFC 7517); none while keys are shared secrets."""
    return JsonResponse(public_jwks(), content_type="application/jwk-set+json")
