"""Endpoints: read the input, call a service, write the output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.http import JsonResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from sessions_tracking import services
from sessions_tracking.api.serializers import (
    EndedOutput,
    LogoutAllInput,
    NothingInput,
    RefreshInput,
    SessionOutput,
    TokenPairOutput,
)
from sessions_tracking.conf import settings
from sessions_tracking.errors import SessionNotFound
from sessions_tracking.models import Session
from sessions_tracking.signing_keys import public_jwks

if TYPE_CHECKING:
    import uuid

    from django.http import HttpRequest
    from rest_framework.request import Request
    from rest_framework.serializers import Serializer

SIGNED_OUT = "signed_out"
ENDED_BY_OWNER = "ended_by_owner"


def _input(serializer: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    given = serializer(data=request.data)
    given.is_valid(raise_exception=True)
    return given.validated_data  # type: ignore[no-any-return]  # a dict for a serializer of fields


def _current_id(request: Request) -> uuid.UUID | None:
    session = services.current_session(request)
    return session.pk if session else None


# A refusal ends the session at once, so no transaction around the view may undo it.
@method_decorator(transaction.non_atomic_requests, name="dispatch")
@method_decorator(never_cache, name="dispatch")
class RefreshView(APIView):
    """Exchange a refresh token for the next pair of tokens.

    The limit counts failures only, so an office behind one address is not locked out by its own
    clients; guessing a token is hopeless at any rate.
    """

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_refunds_success = True

    @extend_schema(request=RefreshInput, responses={200: TokenPairOutput}, auth=[])
    def post(self, request: Request) -> Response:
        """Rotate; the refresh token that was sent is void afterwards."""
        token = _input(RefreshInput, request)["refresh"]
        pair = services.rotate(refresh_token=token)
        return Response(TokenPairOutput(pair).data)


class LogoutView(APIView):
    """Sign out."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """End the session that asks; its access token is refused from the next request on."""
        _input(NothingInput, request)
        if current := _current_id(request):
            services.end_session(session_id=current, reason=SIGNED_OUT)
        return Response(status=status.HTTP_204_NO_CONTENT)


@method_decorator(never_cache, name="dispatch")
class SessionListView(APIView):
    """The caller's signed-in devices."""

    @extend_schema(responses={200: SessionOutput(many=True)})
    def get(self, request: Request) -> Response:
        """List them, last used first; never more than ``SESSIONS_MOST_PER_USER``."""
        alive = Session.objects.alive(now=timezone.now()).of_user(request.user)
        known = {"current_id": _current_id(request)}
        rows = alive.order_by("-last_seen_at", "pk")[: settings.most_per_user]
        return Response(SessionOutput(rows, many=True, context=known).data)


class SessionView(APIView):
    """One of the caller's signed-in devices."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, session_id: uuid.UUID) -> Response:
        """End it; a session of somebody else is as unknown as one that never was."""
        alive = Session.objects.alive(now=timezone.now()).of_user(request.user)
        if not alive.filter(pk=session_id).exists():
            raise SessionNotFound
        services.end_session(session_id=session_id, reason=ENDED_BY_OWNER)
        return Response(status=status.HTTP_204_NO_CONTENT)


class LogoutAllView(APIView):
    """Sign out everywhere."""

    @extend_schema(request=LogoutAllInput, responses={200: EndedOutput})
    def post(self, request: Request) -> Response:
        """End the caller's other sessions, and with ``include_current`` this one too."""
        spares_current = not _input(LogoutAllInput, request)["include_current"]
        ended = services.end_sessions(
            user=request.user,
            reason=ENDED_BY_OWNER,
            except_session_id=_current_id(request) if spares_current else None,
        )
        return Response(EndedOutput({"ended": ended}).data)


@require_safe
@cache_control(public=True, max_age=300)
def jwks(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """Publish the public keys of access tokens (RFC 7517); none while keys are shared secrets."""
    return JsonResponse(public_jwks(), content_type="application/jwk-set+json")
