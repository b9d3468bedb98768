"""Access and refresh tokens: simplejwt's classes over a keyring instead of one key.

Both are JWTs in compact form (RFC 7519). The frame is written and read here, because a refresh
token must come out byte for byte the same whenever it is computed again, on whatever release of
whichever library. A header is never parsed: it has to equal one of the few this site writes, which
settles the algorithm, the key and the use at once and leaves nothing to be confused about
(RFC 8725 §3.1, §3.11).
"""

from __future__ import annotations

import base64
import hmac
import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import (
    ExpiredTokenError,
    TokenBackendError,
    TokenError,
)
from rest_framework_simplejwt.tokens import AccessToken, Token

from sessions_tracking.conf import settings
from sessions_tracking.errors import TokenExpired, TokenInvalid
from sessions_tracking.signing_keys import Keyring, Signer, keyring

if TYPE_CHECKING:
    from sessions_tracking.models import Session

LONGEST_TOKEN = 4096  # characters; ours have about 500
LARGEST_NUMBER = 2**63  # what a counter's column holds
INVALID = "Token is invalid"  # one sentence for every cause, so that none can be told apart


def encode_segment(raw: bytes) -> bytes:
    """Write base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def decode_segment(text: bytes) -> bytes:
    """Read base64url; anything but the one canonical spelling raises ``ValueError``."""
    raw = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    if encode_segment(raw) != text:
        raise ValueError("not canonical base64url")
    return raw


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class KeyringBackend(TokenBackend):
    """Simplejwt's backend with several keys, named by ``kid``, for tokens of one ``typ``."""

    def __init__(
        self,
        *,
        typ: str,
        signers: dict[str, Signer],
        active_kid: str,
        issuer: str,
        audience: str,
    ) -> None:
        """Write each key's header once; the first comparison of every token is with these."""
        algorithm = signers[active_kid].algorithm
        super().__init__(algorithm, audience=audience, issuer=issuer)
        self.active_kid = active_kid
        self._signers = signers
        self._headers = {
            kid: encode_segment(_json({"alg": signer.algorithm, "kid": kid, "typ": typ}))
            for kid, signer in signers.items()
        }
        self._by_header = {header: signers[kid] for kid, header in self._headers.items()}

    def encode(self, payload: dict[str, Any], *, kid: str | None = None) -> str:
        """Sign with the active key, or with the one named; the same claims give the same token."""
        kid = kid or self.active_kid
        claims = {"iss": self.issuer, "aud": self.audience, **payload}
        message = self._headers[kid] + b"." + encode_segment(_json(claims))
        signature = self._signers[kid].sign(message)
        return (message + b"." + encode_segment(signature)).decode()

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - simplejwt's signature
        """Check header, signature, issuer and audience, in that order, and give the claims.

        Everything else about a token is refused with the same sentence. ``verify=False`` is refused
        too: nothing here may read a token that it has not verified.
        """
        if not verify:
            raise TokenBackendError("Tokens are never read without being verified")
        try:
            claims = self._open(token)
        except (ValueError, RecursionError):
            raise TokenBackendError(INVALID) from None
        if claims.get("iss") != self.issuer or claims.get("aud") != self.audience:
            raise TokenBackendError(INVALID)
        return claims

    def _open(self, token: str | bytes) -> dict[str, Any]:
        text = token.encode("ascii") if isinstance(token, str) else token
        if len(text) > LONGEST_TOKEN:
            raise ValueError("too long")
        message, _, signature = text.rpartition(b".")
        header, _, payload = message.partition(b".")
        signer = self._by_header.get(header)
        if signer is None or not signer.verifies(message, decode_segment(signature)):
            raise ValueError("not ours")
        claims = json.loads(decode_segment(payload))
        if not isinstance(claims, dict):
            raise ValueError("no claims")  # noqa: TRY004 - one kind of failure for the caller
        return claims

    def kid_of(self, token: str | bytes) -> str:
        """Name the key of a token that has been verified."""
        text = token.encode() if isinstance(token, str) else token
        header = text.partition(b".")[0]
        return next(kid for kid, written in self._headers.items() if written == header)


@lru_cache(maxsize=16)
def _backend(
    use: Literal["access", "refresh"], keys: Keyring, issuer: str, audience: str
) -> KeyringBackend:
    return KeyringBackend(
        typ="at+jwt" if use == "access" else "rt+jwt",  # RFC 9068 §2.1; its sibling is ours
        signers={kid: getattr(key, use) for kid, key in keys.by_kid.items()},
        active_kid=keys.active.kid,
        issuer=issuer,
        audience=audience,
    )


def backend(use: Literal["access", "refresh"]) -> KeyringBackend:
    """Give the backend for the settings as they are now; built once for each of their values."""
    return _backend(use, keyring(), settings.issuer, settings.audience)


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
    use: ClassVar[Literal["access", "refresh"]]

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
        """Ask the keyring."""
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


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What an access token says, in its right types; times are seconds since 1970 in UTC."""

    session_id: uuid.UUID
    subject: str
    jti: str
    issued_at: int
    expires_at: int
    auth_time: int
    amr: tuple[str, ...]


class SessionAccessToken(_ClockedToken, AccessToken):
    """Says for some minutes that its holder is a session's user (RFC 9068 in form)."""

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
        self.claims = AccessClaims(
            session_id=self.session_id,
            subject=_text(self.payload, "sub"),
            jti=self.jti,
            issued_at=self.issued_at,
            expires_at=self.expires_at,
            auth_time=_number(self.payload, "auth_time"),
            amr=tuple(amr),
        )


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
    return encode_segment(keyring().by_kid[kid].refresh_ids.sign(message)).decode()


def read_access(token: str | bytes, *, now: datetime | None = None) -> AccessClaims:
    """Verify an access token.

    Raises ``TokenExpired`` for a genuine one whose time has passed, else ``TokenInvalid``.
    """
    try:
        return SessionAccessToken(token, now=now).claims
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
