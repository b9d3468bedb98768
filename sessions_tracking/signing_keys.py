"""The keys behind every token, and everything derived from them.

``SESSIONS_SIGNING_KEYS`` holds ``id:secret`` (HS256) or ``id:<PEM>``, an Ed25519 private key
(EdDSA). The first signs; the others verify until the last token signed by them has lapsed. No
configured secret is used as it stands: HKDF (RFC 5869) derives one key for each use, so that a
token of one use can never pass for another.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from garrison import keys
from garrison.conf import remembered
from garrison.errors import ConfigurationError
from garrison.keys import InvalidKeyError, Keyring, Mac, Secret
from sessions_tracking.conf import settings
from sessions_tracking.models import LONGEST_KEY_ID

if TYPE_CHECKING:
    from collections.abc import Sequence


class HmacSigner(Mac):
    """HMAC with SHA-256 (RFC 7518 §3.2)."""

    algorithm: Literal["HS256", "EdDSA"] = "HS256"
    sign = Mac.digest


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


Signer: TypeAlias = HmacSigner | EdSigner


@dataclass(frozen=True)
class Material:
    """The value of one key: a text that is a shared secret, or the seed of a private key."""

    secret: Secret
    is_private_key: bool = False

    def derive(self, use: str) -> bytes:
        """Derive the 32-byte key for one use; the label keeps the uses apart."""
        return keys.derive(self.secret.reveal(), f"garrison/sessions/{use}/v1")

    def signer(self) -> Signer:
        """Return what signs access tokens."""
        if not self.is_private_key:
            return HmacSigner(self.derive("access-signature"))
        return EdSigner(Ed25519PrivateKey.from_private_bytes(self.secret.reveal()))


@dataclass(frozen=True)
class SigningKey:
    """One configured key: its id, and the keys derived from it for each use."""

    kid: str
    access: Signer
    material: Material = field(repr=False)

    @cached_property
    def refresh(self) -> Signer:
        """Sign refresh tokens; symmetric always, because nobody but this site reads them."""
        return HmacSigner(self.material.derive("refresh-signature"))

    @cached_property
    def refresh_ids(self) -> HmacSigner:
        """Compute a refresh token's jti from its session and counter."""
        return HmacSigner(self.material.derive("refresh-jti"))

    @cached_property
    def cookie_sealing(self) -> bytes:
        """Seal the keys of Django's sessions."""
        return self.material.derive("cookie-sealing")

    def public_jwk(self) -> dict[str, str] | None:
        """Return the public half as a JWK (RFC 8037), or ``None`` where there is none."""
        if not isinstance(self.access, EdSigner):
            return None
        raw = self.access.public.public_bytes_raw()
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        fixed = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA"}
        return {**fixed, "kid": self.kid, "x": x}


def _material(text: str) -> Material:
    if "-----BEGIN" not in text:
        return Material(keys.random_text(text))
    # An environment variable holds one line; \n stands for the breaks.
    pem = text.replace("\\n", "\n").strip().encode()
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as failure:
        kind = type(failure).__name__
        raise InvalidKeyError(f"is not an unencrypted private key in PEM ({kind})") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidKeyError(
            f"is {type(key).__name__}; of the asymmetric ones only Ed25519 is used "
            "(`openssl genpkey -algorithm ed25519`)"
        )
    return Material(Secret(key.private_bytes_raw()), is_private_key=True)


def read(entries: Sequence[object]) -> Keyring[SigningKey]:
    """Read keys as they are written; raises :class:`~garrison.errors.ConfigurationError`."""
    found = keys.read(entries, what="Signing key", value=_material, longest_id=LONGEST_KEY_ID)
    if not found.keys:
        found.problems.append(f"SESSIONS_SIGNING_KEYS holds no key. {keys.HINT}")
    if found.problems:
        raise ConfigurationError(" ".join(found.problems))
    return Keyring({k.id: SigningKey(k.id, k.value.signer(), k.value) for k in found.keys})


@remembered("SESSIONS_")
def keyring() -> Keyring[SigningKey]:
    """Return the configured keys; the active one signs."""
    return read(settings.signing_keys)


def public_jwks() -> dict[str, Any]:
    """Return the JWK set (RFC 7517 §5) of the public halves; empty while all keys are secrets."""
    jwks = (key.public_jwk() for key in keyring().by_id.values())
    return {"keys": [jwk for jwk in jwks if jwk is not None]}
