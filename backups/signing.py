"""Who wrote a manifest.

age encrypts to a public key, so anybody can make a file that opens with our identity. What makes a
backup *ours* is an Ed25519 signature over its manifest, which names the hash of every part. The
key is derived from a secret that only this site's machines hold. It proves that one of them wrote
the manifest; it does not prove that a newer backup has not been withheld.
"""

from __future__ import annotations

import base64

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from backups.conf import settings
from backups.errors import BackupDamaged, SignerUnknown
from garrison.keys import Mac, derive, site_secrets

PREFIX = "ed25519:"
CONTEXT = b"garrison.backups.manifest.v1\x00"


def _derived(purpose: str) -> list[bytes]:
    """Return the key of a purpose for each secret of this site, the one in use first."""
    own = settings.signing_secret
    secrets = [own.encode()] if own else site_secrets()  # one leak must not open two doors
    return [derive(secret, f"garrison.backups.{purpose}.v1") for secret in secrets]


def _private_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_derived("signing")[0])


def _text(key: Ed25519PublicKey) -> str:
    return PREFIX + base64.b64encode(key.public_bytes_raw()).decode()


def signer() -> str:
    """Return this site's public key as text, to be noted beside the identity."""
    return _text(_private_key().public_key())


def trusted_signers() -> set[str]:
    """Return every public key whose manifests are believed here."""
    derived = map(Ed25519PrivateKey.from_private_bytes, _derived("signing"))
    return {_text(key.public_key()) for key in derived} | set(settings.trusted_signers)


def parse_public_key(text: str) -> Ed25519PublicKey:
    """Read ``ed25519:…``; raises :class:`ValueError` for anything else."""
    if not text.startswith(PREFIX):
        raise ValueError("it does not begin with ed25519:")
    raw = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    return Ed25519PublicKey.from_public_bytes(raw)


def sign(body: bytes) -> bytes:
    """Sign a manifest's body: 64 bytes."""
    return _private_key().sign(CONTEXT + body)


def require_genuine(*, body: bytes, signer: str, signature: bytes) -> None:
    """Refuse a body that no trusted key has signed.

    Raises :class:`~backups.errors.SignerUnknown` where the signer is none of ours, which is no
    damage, and :class:`~backups.errors.BackupDamaged` where the signature is wrong.
    """
    if signer not in trusted_signers():
        raise SignerUnknown(
            f"The manifest is signed by {signer[:80]!r}, which is not a key of this site. If it is "
            "an older key or another machine's, add it to BACKUPS_TRUSTED_SIGNERS (environment: "
            "BACKUP_TRUSTED_SIGNERS)."
        )
    try:
        parse_public_key(signer).verify(signature, CONTEXT + body)
    except (InvalidSignature, ValueError):
        raise BackupDamaged("The signature of the manifest is wrong: it was altered.") from None


def name_macs() -> list[Mac]:
    """Return the MACs that make names and contents into names that tell nobody else which.

    The first is the present one; by those of older secrets a content of before is recognised.
    """
    return [Mac(key) for key in _derived("names")]


def keyed_digest(sha256: bytes) -> str:
    """Return the name of a content: the same for the same bytes."""
    return name_macs()[0].digest(sha256).hex()


def index_cipher() -> AESSIV:
    """Return the cipher (RFC 5297) of what the index keeps of files, to hide and to bind it."""
    return AESSIV(_derived("index")[0])
