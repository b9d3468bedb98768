"""REST framework's authentication by access token, in one query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication

from garrison import context
from sessions_tracking.compiled import AUTHENTICATION_NEEDS_NO
from sessions_tracking.errors import TokenExpired, TokenInvalid
from sessions_tracking.living import living_session, note_use
from sessions_tracking.middleware import bearer_challenge
from sessions_tracking.models import Session
from sessions_tracking.tokens import SessionAccessToken, read_access

if TYPE_CHECKING:
    from rest_framework.request import Request

SCHEME = "bearer"
CLOCK_LEEWAY = timedelta(seconds=60)  # RFC 7519 §4.1.4: "no more than a few minutes"


@dataclass(frozen=True, slots=True)
class SessionAuth:
    """What ``request.auth`` holds: the session's row, and what the token said."""

    session: Session
    claims: SessionAccessToken


class SessionTokenAuthentication(BaseAuthentication):
    """Authenticate ``Authorization: Bearer …`` by the token, its session's row and its user.

    One statement, whatever the number of users and sessions; a second one at most once a minute for
    each session, when its last use is written. Ending a session, disabling a user or deleting one
    therefore works from the next request on. No header, or another scheme, is an anonymous request.
    """

    def authenticate(self, request: Request) -> tuple[Any, SessionAuth] | None:
        """Return user and session, or ``None`` where no bearer token was sent.

        Raises ``TokenInvalid``, ``TokenExpired`` or ``SessionEnded``, each a 401.
        """
        token = bearer_token(request.META.get("HTTP_AUTHORIZATION", ""))
        if token is None:
            return None
        # This machine's clock may be wrong by a little; the database's decides to the second.
        claims = read_access(token, now=timezone.now() - CLOCK_LEEWAY)
        session = living_session(session_id=claims.session_id, without=AUTHENTICATION_NEEDS_NO)
        if claims.expires_at <= session.read_at.timestamp():
            raise TokenExpired
        if session.kind != Session.Kind.TOKEN or claims.subject != str(session.user_id):
            raise TokenInvalid
        context.learn(actor_id=claims.subject, session_id=str(session.pk))
        note_use(session)
        return session.user, SessionAuth(session, claims)

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401 (RFC 6750 §3)."""
        return bearer_challenge(request._request)


def bearer_token(header: str) -> str | None:
    """Read the token out of the header; ``None`` where it names another scheme, or none."""
    scheme, _, token = header.strip().partition(" ")
    return token.strip() if scheme.lower() == SCHEME else None
