"""The keys behind every token, and everything derived from them.

``SESSIONS_SIGNING_KEYS`` holds ``id:secret`` (HS256) or ``id:<PEM>``, an Ed25519 private key
(EdDSA). The first signs; the others verify until the last token signed by them has lapsed. No
configured secret is used as it stands: HKDF (RFC 5869) derives one key for each use, so that a
token of one use can never pass for another.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from garrison.errors import ConfigurationError
from sessions_tracking.conf import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_ID = re.compile(r"^[A-Za-z0-9_-]{1,32}$", re.ASCII)
SHORTEST_SECRET = 32  # characters; RFC 7518 §3.2 asks for 256 bits of key under HS256
DERIVED_BYTES = 32
HOW_TO = "Run `manage.py generate_keys`, or write 'id:secret' into SESSIONS_SIGNING_KEYS."


class Signer(Protocol):
    """What a token's frame needs: a name for the header, and the two halves of a signature."""

    algorithm: Literal["HS256", "EdDSA"]

    def sign(self, message: bytes) -> bytes:
        """Return the raw signature."""

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Tell, in constant time, whether the raw signature is right."""


class HmacSigner:
    """HMAC with SHA-256 (RFC 7518 §3.2)."""

    algorithm: Literal["HS256", "EdDSA"] = "HS256"

    def __init__(self, key: bytes) -> None:
        """Keep the key; it has no other way out."""
        self._key = key

    def sign(self, message: bytes) -> bytes:
        """Return the MAC, 32 bytes."""
        return hmac.digest(self._key, message, "sha256")

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.sign(message), signature)


class EdSigner:
    """Ed25519 (RFC 8037)."""

    algorithm: Literal["HS256", "EdDSA"] = "EdDSA"

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Keep the private key, and its public half for verifying."""
        self._key = key
        self.public = key.public_key()

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes; deterministic (RFC 8032)."""
        return self._key.sign(message)

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Check with the public half."""
        try:
            self.public.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def derive(root: bytes, use: str) -> bytes:
    """Derive the 32-byte key for one use (RFC 5869); the label keeps the uses apart."""
    info = f"garrison/sessions/{use}/v1".encode()
    return HKDF(hashes.SHA256(), DERIVED_BYTES, salt=None, info=info).derive(root)


@dataclass(frozen=True)
class SigningKey:
    """One configured key: its id, and the keys derived from it for each use."""

    kid: str
    access: Signer
    root: bytes = field(repr=False)

    @cached_property
    def refresh(self) -> Signer:
        """Sign refresh tokens; symmetric always, because nobody but this site reads them."""
        return HmacSigner(derive(self.root, "refresh-signature"))

    @cached_property
    def refresh_ids(self) -> HmacSigner:
        """Compute a refresh token's jti from its session and counter."""
        return HmacSigner(derive(self.root, "refresh-jti"))

    @cached_property
    def cookie_sealing(self) -> bytes:
        """Seal the keys of Django's sessions."""
        return derive(self.root, "cookie-sealing")

    def public_jwk(self) -> dict[str, str] | None:
        """Return the public half as a JWK (RFC 8037), or ``None`` where there is none."""
        if not isinstance(self.access, EdSigner):
            return None
        raw = self.access.public.public_bytes_raw()
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        fixed = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA"}
        return {**fixed, "kid": self.kid, "x": x}


def parse(entry: str) -> SigningKey:
    """Read one entry of ``SESSIONS_SIGNING_KEYS``; what is wrong is said without the secret."""
    kid, separator, secret = str(entry).partition(":")
    if not separator or not KEY_ID.match(kid):
        raise ConfigurationError(
            "A signing key has no id in front; write it as 'k1:secret', the id being 1 to 32 "
            f"letters, digits, '-' or '_'. {HOW_TO}"
        )
    if "-----BEGIN" in secret:
        return _from_pem(kid, secret)
    if len(secret) < SHORTEST_SECRET:
        raise ConfigurationError(
            f"Signing key {kid!r} is {len(secret)} characters; {SHORTEST_SECRET} are needed. "
            f"{HOW_TO}"
        )
    root = secret.encode()
    return SigningKey(kid, HmacSigner(derive(root, "access-signature")), root)


def _from_pem(kid: str, pem: str) -> SigningKey:
    # An environment variable holds one line; \n stands for the breaks.
    text = pem.replace("\\n", "\n").strip().encode()
    try:
        key = serialization.load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as failure:
        raise ConfigurationError(
            f"Signing key {kid!r} is not an unencrypted private key in PEM "
            f"({type(failure).__name__})."
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(
            f"Signing key {kid!r} is {type(key).__name__}; of the asymmetric ones only Ed25519 is "
            "used. Make one with `openssl genpkey -algorithm ed25519`."
        )
    return SigningKey(kid, EdSigner(key), key.private_bytes_raw())


@dataclass(frozen=True, eq=False)  # compared by identity: one object for each setting
class Keyring:
    """Every configured key by id; ``active`` signs."""

    active: SigningKey
    by_kid: Mapping[str, SigningKey]


@lru_cache(maxsize=16)
def _keyring(entries: tuple[str, ...]) -> Keyring:
    keys = [parse(entry) for entry in entries]
    if not keys:
        raise ConfigurationError(f"SESSIONS_SIGNING_KEYS is empty. {HOW_TO}")
    by_kid = {key.kid: key for key in keys}
    if len(by_kid) < len(keys):
        raise ConfigurationError("SESSIONS_SIGNING_KEYS holds one key id twice; give each its own.")
    return Keyring(active=keys[0], by_kid=by_kid)


def keyring() -> Keyring:
    """Return the configured keys; parsed once for each value the setting takes."""
    return _keyring(tuple(settings.signing_keys))


def public_jwks() -> dict[str, Any]:
    """Return the JWK set (RFC 7517 §5) of the public halves; empty while all keys are secrets."""
    jwks = (key.public_jwk() for key in keyring().by_kid.values())
    return {"keys": [jwk for jwk in jwks if jwk is not None]}
