"""What the environment says, checked: a bad value is refused with the variable's name."""

from __future__ import annotations

from pathlib import Path

from environs import Env

from garrison.errors import ConfigurationError

BASE_DIR = Path(__file__).resolve().parent.parent
SHORTEST_SECRET = 32  # characters; 128 bits even when the text is hexadecimal
KNOWN_DEFAULTS = ("insecure", "changeme", "change-me", "secret", "django-insecure", "example")

env = Env()
env.read_env(env.str("GARRISON_ENV_FILE", str(BASE_DIR / ".env")), recurse=False)

IS_PRODUCTION = env.str("GARRISON_ENV", "production") != "development"


def secret(name: str) -> str:
    """Read a secret; missing, default or too short ones stop the start, by name."""
    value = env.str(name, "")
    if not value:
        raise ConfigurationError(
            f"{name} is not set. Run `manage.py generate_keys` and put its value into .env."
        )
    if len(value) < SHORTEST_SECRET:
        raise ConfigurationError(
            f"{name} is {len(value)} characters; {SHORTEST_SECRET} are needed. "
            "Run `manage.py generate_keys`."
        )
    if value.lower().startswith(KNOWN_DEFAULTS) or len(set(value)) < SHORTEST_SECRET // 4:
        raise ConfigurationError(
            f"{name} looks like a default or a pattern, not like a random secret. "
            "Run `manage.py generate_keys`."
        )
    return value
