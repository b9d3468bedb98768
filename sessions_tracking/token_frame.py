"""The frame of every token: three segments, written and read by keys of a keyring.

Tokens are JWTs in compact form (RFC 7519). They are framed here, because a refresh token must come
out byte for byte the same whenever it is computed again, on whatever release of whichever library.
A header is never parsed: it has to equal one of the few this site writes, which settles the
algorithm, the key and the use at once and leaves nothing to be confused about (RFC 8725 §3.1,
§3.11).
"""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError

from sessions_tracking.conf import settings
from sessions_tracking.signing_keys import Signer, SigningKey, keyring

if TYPE_CHECKING:
    from garrison.keys import Keyring

Use: TypeAlias = Literal["access", "refresh"]

LONGEST_TOKEN = 4096  # characters; ours have about 500
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
    """Simplejwt's backend with several keys, named by ``kid``, for tokens of one use."""

    def __init__(self, use: Use, keys: Keyring[SigningKey], issuer: str, audience: str) -> None:
        """Write each key's header once; the first comparison of every token is with these."""
        signers: dict[str, Signer] = {kid: getattr(key, use) for kid, key in keys.by_id.items()}
        typ = "at+jwt" if use == "access" else "rt+jwt"  # RFC 9068 §2.1; its sibling is ours
        self.active_kid = keys.active.kid
        algorithm = signers[self.active_kid].algorithm
        super().__init__(algorithm, audience=audience, issuer=issuer)
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


_backend = lru_cache(maxsize=16)(KeyringBackend)


def backend(use: Use) -> KeyringBackend:
    """Return the backend for the settings as they are now; built once for each of their values."""
    return _backend(use, keyring(), settings.issuer, settings.audience)
