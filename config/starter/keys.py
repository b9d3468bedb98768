"""Fresh values for every secret of the environment."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.starter.failure import StartFailure

if TYPE_CHECKING:
    from pathlib import Path

SECRET_BYTES = 48  # 64 characters
KEY_BYTES = 32  # AES-256, HMAC-SHA256, Ed25519


@dataclass(frozen=True)
class FreshKeys:
    """What belongs into ``.env``, and the identity that opens backups, which does not."""

    variables: dict[str, str]
    backup_identity: str

    def __repr__(self) -> str:
        """Name the variables, and show no value."""
        return f"FreshKeys({', '.join(self.variables)})"


def generate() -> FreshKeys:
    """Make one new value for each variable that holds a secret."""
    from pyrage import x25519

    identity = x25519.Identity.generate()
    variables = {
        "SECRET_KEY": secrets.token_urlsafe(SECRET_BYTES),
        "JWT_SECRET": secrets.token_urlsafe(SECRET_BYTES),
        "ENCRYPTION_KEY": f"k1:{_random_key()}",
        "AUDIT_KEY": f"a1:{_random_key()}",
        "AUDIT_CHECKPOINT_KEY": f"c1:{_random_key()}",
        "BACKUP_ENCRYPTION_KEY": str(identity.to_public()),
    }
    return FreshKeys(variables, str(identity))


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def recipient_of(identity_path: Path) -> str:
    """Return the public half of the identity in a file, as backups are encrypted to it."""
    from pyrage import IdentityError, x25519

    try:
        return str(x25519.Identity.from_str(identity_path.read_text().strip()).to_public())
    except (OSError, UnicodeDecodeError, IdentityError) as refusal:
        raise StartFailure(
            f"{identity_path} holds no age identity that can be read. Move it away; a new one is "
            "made then, and older backups need the old one."
        ) from refusal


def as_environment_file(variables: dict[str, str]) -> str:
    """Lay variables out as lines of a ``.env`` file."""
    return "".join(f"{name}={value}\n" for name, value in variables.items())
