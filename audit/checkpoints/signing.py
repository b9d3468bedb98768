"""What a checkpoint says, and the signature under it (Ed25519, RFC 8032).

The key is another one than those that seal: whoever owns the database *and* the sealing keys can
make a chain of their own, and cannot sign its head.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.cleaning import canonical
from audit.conf import settings
from audit.errors import AuditKeysUnusable, CheckpointRefused
from audit.sealing.encoding import instant
from audit.sealing.keyring import LONGEST_ID, labelled, secrets
from garrison import keys
from garrison.conf import remembered

if TYPE_CHECKING:
    from audit.models import Checkpoint

FORMAT = "garrison.audit.checkpoint.v1"
LARGEST_FILE = 64 * 1024  # bytes; a checkpoint has about 500


@dataclass(frozen=True, slots=True)
class CheckpointHead:
    """What is signed: after ``count`` events, number ``seq`` of the stream had this MAC."""

    purpose: str
    stream: str
    seq: int
    mac: bytes
    count: int
    at: datetime
    key_id: str

    def body(self) -> dict[str, Any]:
        """Return what is signed, as JSON types."""
        return {
            "format": FORMAT,
            "purpose": self.purpose,
            "stream": self.stream,
            "seq": self.seq,
            "mac": self.mac.hex(),
            "count": self.count,
            "at": instant(self.at),
            "key": self.key_id,
        }

    def message(self) -> bytes:
        """Return the bytes that are signed: the body as JSON, keys sorted, no blanks, ASCII."""
        return canonical(self.body()).encode()


@dataclass(frozen=True, slots=True)
class Signed:
    """A head with the signature that somebody put under it."""

    head: CheckpointHead
    signature: bytes
    source: str = "database"


class Signers:
    """The key that signs, and every public key that is believed."""

    def __init__(self) -> None:
        """Read the settings; what is malformed is refused with a sentence."""
        self.public: dict[str, Ed25519PublicKey] = {}
        written = settings.checkpoint_keys
        found = secrets(written, what="AUDIT_CHECKPOINT_KEYS", purpose="checkpoint")
        ours = [(name, Ed25519PrivateKey.from_private_bytes(seed.reveal())) for name, seed in found]
        names = [self._believe(key_id, key.public_key()) for key_id, key in ours]
        self.name, self.private = names[0], ours[0][1]
        what = "AUDIT_CHECKPOINT_PUBLIC_KEYS: key"
        for entry in settings.checkpoint_public_keys:
            # One by one: keys of the site are published under one id, and each is believed.
            public = keys.read([entry], what=what, value=_public_key, longest_id=LONGEST_ID)
            if public.problems:
                raise AuditKeysUnusable(" ".join(public.problems))
            self._believe(public.keys[0].id, public.keys[0].value)

    def _believe(self, key_id: str, key: Ed25519PublicKey) -> str:
        name = labelled(key_id, key.public_bytes_raw())
        self.public[name] = key
        return name

    def published(self) -> dict[str, str]:
        """Return every public key by name, as base64."""
        return {
            name: base64.b64encode(key.public_bytes_raw()).decode()
            for name, key in self.public.items()
        }


def _public_key(text: str) -> Ed25519PublicKey:
    raw = keys.decoded(text)
    if raw is None or len(raw) != keys.KEY_BYTES:
        raise keys.InvalidKeyError(f"is not {keys.KEY_BYTES} bytes in base64")
    return Ed25519PublicKey.from_public_bytes(raw)


@remembered("AUDIT_", "SECRET_KEY")
def signers() -> Signers:
    """Return the keys of this process; raises :class:`~audit.errors.AuditKeysUnusable`."""
    return Signers()


def sign(  # noqa: PLR0913 - a head has these parts, by keyword
    *, purpose: str, stream: str, seq: int, mac: bytes, count: int, at: datetime
) -> Signed:
    """Sign a head with this site's key."""
    ours = signers()
    head = CheckpointHead(purpose, stream, seq, mac, count, at, ours.name)
    return Signed(head, ours.private.sign(head.message()))


def require_genuine(signed: Signed) -> None:
    """Refuse a head that none of the believed keys has signed."""
    key_id = signed.head.key_id
    key = signers().public.get(key_id)
    if key is None:
        raise CheckpointRefused(
            f"The checkpoint of {signed.head.at:%Y-%m-%d %H:%M} UTC ({signed.source}) is signed by "
            f"{key_id[:32]!r}, whose public key is not known here. If it is this site's, add it to "
            "AUDIT_CHECKPOINT_PUBLIC_KEYS."
        )
    try:
        key.verify(signed.signature, signed.head.message())
    except InvalidSignature:  # the library's has no text; ours says which checkpoint
        raise CheckpointRefused(
            f"The checkpoint of {signed.head.at:%Y-%m-%d %H:%M} UTC ({signed.source}) is not what "
            f"{key_id!r} signed: it was changed or made up."
        ) from None


def to_file(signed: Signed) -> bytes:
    """Lay a checkpoint out as the file that leaves the machine."""
    whole = signed.head.body() | {"signature": base64.b64encode(signed.signature).decode()}
    return json.dumps(whole, indent=2, sort_keys=True).encode() + b"\n"


def from_file(content: bytes, *, source: str) -> Signed:
    """Read such a file; raises :class:`~audit.errors.CheckpointRefused` for anything else."""
    try:
        whole = json.loads(content)
        signature = keys.decoded(whole.pop("signature"))
        head = CheckpointHead(
            str(whole["purpose"]),
            str(whole["stream"]),
            int(whole["seq"]),
            bytes.fromhex(whole["mac"]),
            int(whole["count"]),
            datetime.fromisoformat(whole["at"]),
            str(whole["key"]),
        )
        is_whole = signature is not None and head.body() == whole
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        is_whole = False
    if not is_whole:
        raise CheckpointRefused(f"{source} is no checkpoint of the audit log.")
    return Signed(head, signature or b"", source)


def from_row(row: Checkpoint) -> Signed:
    """Read a checkpoint as the database keeps it."""
    head = CheckpointHead(
        row.purpose, row.stream, row.seq, bytes(row.mac), row.count, row.at, row.key_id
    )
    return Signed(head, bytes(row.signature), f"database, number {row.pk}")
