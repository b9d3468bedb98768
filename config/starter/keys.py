"""Fresh values for every secret of the environment."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass

SECRET_BYTES = 48  # 64 characters
ENCRYPTION_KEY_BYTES = 32  # AES-256


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
    encryption_key = base64.b64encode(secrets.token_bytes(ENCRYPTION_KEY_BYTES)).decode()
    variables = {
        "SECRET_KEY": secrets.token_urlsafe(SECRET_BYTES),
        "JWT_SECRET": secrets.token_urlsafe(SECRET_BYTES),
        "ENCRYPTION_KEY": f"k1:{encryption_key}",
        "BACKUP_ENCRYPTION_KEY": str(identity.to_public()),
    }
    return FreshKeys(variables, str(identity))


def as_environment_file(variables: dict[str, str]) -> str:
    """Lay variables out as lines of a ``.env`` file."""
    return "".join(f"{name}={value}\n" for name, value in variables.items())
