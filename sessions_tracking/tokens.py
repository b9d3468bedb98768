"""Access and refresh tokens: simplejwt's classes over a keyring instead of one key."""

from __future__ import annotations

import hmac
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.tokens import AccessToken, Token

from sessions_tracking.conf import settings
from sessions_tracking.errors import TokenExpired, TokenInvalid
from sessions_tracking.signing_keys import keyring
from sessions_tracking.token_frame import INVALID, KeyringBackend, Use, backend, encode_segment

if TYPE_CHECKING:
    from sessions_tracking.models import Session

LARGEST_NUMBER = 2**63  # what a counter's column holds


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if type(value) is not str or not value:
        raise TokenError(INVALID)
    return value


def _number(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int or not 0 <= value < LARGEST_NUMBER:
        raise TokenError(INVALID)
    return value


def _uuid(claims: dict[str, Any], name: str) -> uuid.UUID:
    try:
        return uuid.UUID(_text(claims, name))
    except ValueError:
        raise TokenError(INVALID) from None


class _ClockedToken(Token):
    """A token that is told the time, and holds one session's id."""

    lifetime = timedelta(0)  # each subclass sets its own expiry
    use: ClassVar[Use]

    def __init__(
        self,
        token: str | bytes | None = None,
        verify: bool = True,  # noqa: FBT001, FBT002 - simplejwt's signature
        *,
        now: datetime | None = None,
    ) -> None:
        self.now = now
        super().__init__(token, verify)  # type: ignore[arg-type]  # it takes text

    def get_token_backend(self) -> KeyringBackend:
        """Return the keyring's."""
        return backend(self.use)

    def verify(self) -> None:
        """Refuse what is not yet, or no longer, good; the types of the claims are checked too."""
        now = (self.now or self.current_time).timestamp()
        claims = self.payload
        self.session_id = _uuid(claims, "sid")
        self.issued_at = _number(claims, "iat")
        self.expires_at = _number(claims, "exp")
        self.jti = _text(claims, "jti")
        if "nbf" in claims and _number(claims, "nbf") > now:
            raise TokenError(INVALID)
        if self.expires_at <= now:
            raise ExpiredTokenError("Token is expired")


class SessionAccessToken(_ClockedToken, AccessToken):
    """Says for some minutes that its holder is a session's user (RFC 9068 in form).

    Times (``issued_at``, ``expires_at``, ``auth_time``) are seconds since 1970 in UTC.
    """

    use = "access"

    @classmethod
    def issue(cls, *, session: Session, now: datetime) -> str:
        """Write a fresh access token for a session; it never outlives the session."""
        expires_at = min(now + timedelta(seconds=settings.access_seconds), session.expires_at)
        return backend("access").encode(
            {
                "sub": str(session.user_id),
                "sid": str(session.pk),
                "jti": uuid.uuid4().hex,
                "iat": _epoch(now),
                "exp": _epoch(expires_at),
                "auth_time": _epoch(session.authenticated_at),
                "amr": session.amr,
            }
        )

    def verify(self) -> None:
        """Check the claims an access token has besides."""
        super().verify()
        amr = self.payload.get("amr")
        if type(amr) is not list or not all(type(method) is str for method in amr):
            raise TokenError(INVALID)
        self.amr = tuple(amr)
        self.subject = _text(self.payload, "sub")
        self.auth_time = _number(self.payload, "auth_time")


class SessionRefreshToken(_ClockedToken):
    """Gets the next pair of tokens, once; everything in it follows from the session's row."""

    token_type = "refresh"  # noqa: S105 - a name
    use = "refresh"

    @classmethod
    def issue(cls, *, session: Session) -> str:
        """Compute the refresh token that belongs to the row as it stands; always the same bytes."""
        return backend("refresh").encode(
            {
                "sid": str(session.pk),
                "cnt": session.counter,
                "jti": _jti(session.pk, session.counter, session.key_id),
                "iat": _epoch(session.rotated_at),
                "exp": _epoch(session.expires_at),
            },
            kid=session.key_id,
        )

    def verify(self) -> None:
        """Check the counter, and that the id is the one only this site could compute."""
        super().verify()
        self.counter = _number(self.payload, "cnt")
        self.kid = self.get_token_backend().kid_of(self.token)  # type: ignore[arg-type]  # text
        expected = _jti(self.session_id, self.counter, self.kid)
        if not hmac.compare_digest(expected.encode(), self.jti.encode(errors="replace")):
            raise TokenError(INVALID)


def _jti(session_id: uuid.UUID, counter: int, kid: str) -> str:
    message = session_id.bytes + counter.to_bytes(8, "big")
    return encode_segment(keyring().by_id[kid].refresh_ids.sign(message)).decode()


def read_access(token: str | bytes, *, now: datetime | None = None) -> SessionAccessToken:
    """Verify an access token.

    Raises ``TokenExpired`` for a genuine one whose time has passed, else ``TokenInvalid``.
    """
    try:
        return SessionAccessToken(token, now=now)
    except ExpiredTokenError:
        raise TokenExpired from None
    except TokenError:
        raise TokenInvalid from None


def read_refresh(token: str | bytes, *, now: datetime | None = None) -> SessionRefreshToken:
    """Verify a refresh token; raises as :func:`read_access` does."""
    try:
        return SessionRefreshToken(token, now=now)
    except ExpiredTokenError:
        raise TokenExpired from None
    except TokenError:
        raise TokenInvalid from None
