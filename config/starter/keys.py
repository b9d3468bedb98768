"""Fresh values for every secret of the environment."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from config.starter.failure import StartFailure
from garrison.conf import fresh_keys
from garrison.keys import random_token

if TYPE_CHECKING:
    from pathlib import Path

VARIABLES = {
    "JWT_SECRET": "SESSIONS_SIGNING_KEYS",
    "ENCRYPTION_KEY": "ENCRYPTION_KEYS",
    "AUDIT_KEY": "AUDIT_KEYS",
    "AUDIT_CHECKPOINT_KEY": "AUDIT_CHECKPOINT_KEYS",
    "BACKUP_SIGNING_SECRET": "BACKUPS_SIGNING_SECRET",
    "LOGIN_NAME_SECRET": "ACCOUNTS_FINGERPRINT_KEY",
    "RATE_LIMITING_SECRET": "RATE_LIMITING_KEY",
}
"""The setting of an app that each variable of this site's environment fills."""
APPS = ("accounts", "audit", "backups", "encryption", "rate_limiting", "sessions_tracking")


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
    for app in APPS:
        import_module(f"{app}.conf")
    fresh = fresh_keys()
    variables = {"SECRET_KEY": random_token()}
    variables |= {name: fresh[setting] for name, setting in VARIABLES.items()}
    variables["BACKUP_ENCRYPTION_KEY"] = str(identity.to_public())
    return FreshKeys(variables, str(identity))


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
