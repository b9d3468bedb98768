"""What the environment says, checked: a bad value is refused with the variable's name.

The environment wins over ``.env`` (or the file that ``GARRISON_ENV_FILE`` names), and that over
``VAR_DIR/servers.env``, in which ``make run`` leaves the addresses of the servers it has started,
so that ``manage.py`` beside it finds them.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path

from environs import Env

from garrison.errors import ConfigurationError

BASE_DIR = Path(__file__).resolve().parent.parent
SHORTEST_SECRET = 32  # characters; 128 bits even when the text is hexadecimal
SHORTEST_PASSPHRASE = 20  # characters; five diceware words, stretched by PBKDF2
ENCRYPTION_KEY_BYTES = 32  # AES-256
FEWEST_DIFFERENT = 8  # characters or bytes; random values have far more, patterns have fewer
KNOWN_DEFAULTS = ("insecure", "changeme", "change-me", "secret", "django-insecure", "example")
KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
SIGNING_KEY = re.compile(r"^[A-Za-z0-9_-]{1,32}:.", re.ASCII)
FRESH = "Run `manage.py generate_keys`"

env = Env()


def _read_file(path: Path) -> None:
    try:
        env.read_env(str(path), recurse=False)
    except (OSError, UnicodeDecodeError) as refusal:
        raise ConfigurationError(f"{path} cannot be read: {refusal}.") from None


_read_file(Path(env.str("GARRISON_ENV_FILE", str(BASE_DIR / ".env"))))
VAR_DIR = BASE_DIR / env.str("VAR_DIR", "var")
_read_file(VAR_DIR / "servers.env")


def is_production() -> bool:
    """Tell which of the two kinds of site this is; anything but the two words is refused."""
    kind = env.str("GARRISON_ENV", "production")
    if kind not in {"production", "development"}:
        raise ConfigurationError(f"GARRISON_ENV is {kind!r}; write production or development.")
    return kind == "production"


IS_PRODUCTION = is_production()


def required(name: str, *, hint: str) -> str:
    """Read a variable that has no default; ``hint`` says what to put there."""
    value = env.str(name, "").strip()
    if not value:
        raise ConfigurationError(f"{name} is not set. {hint}")
    return value


def secret(name: str, *, unlike: str | None = None) -> str:
    """Read a secret; missing, default or too short ones stop the start, by name.

    ``unlike`` names another variable that must not hold the same: one leaked key must not open two
    doors.
    """
    value = required(name, hint=f"{FRESH} and put its value into .env.")
    _refuse_weak(name, value, unlike=unlike)
    return value


def signing_keys(name: str, *, unlike: str) -> list[str]:
    """Read the keys of tokens, the active one first: one secret, or several as ``id:secret``.

    A secret without an id is ``k1``, so that a site can begin with one and rotate later.
    """
    value = required(name, hint=f"{FRESH} and put its value into .env.")
    entries = [entry.strip() for entry in value.split(",")]
    if not all(SIGNING_KEY.match(entry) for entry in entries):
        entries = [f"k1:{value}"]
    for entry in entries:
        _refuse_weak(name, entry.partition(":")[2], unlike=unlike)
    return entries


def _refuse_weak(name: str, value: str, *, unlike: str | None) -> None:
    if len(value) < SHORTEST_SECRET:
        raise ConfigurationError(
            f"{name} is {len(value)} characters; {SHORTEST_SECRET} are needed. {FRESH}."
        )
    if value.lower().startswith(KNOWN_DEFAULTS) or len(set(value)) < FEWEST_DIFFERENT:
        raise ConfigurationError(
            f"{name} looks like a default or a pattern, not like a random secret. {FRESH}."
        )
    if unlike and value == env.str(unlike, "").strip():
        raise ConfigurationError(f"{name} is the same as {unlike}; they must differ. {FRESH}.")


def encryption_keys(name: str) -> list[str]:
    """Read the keys for secrets at rest, the active one first: ``id:base64`` or ``pbkdf2:…``."""
    value = required(name, hint=f"{FRESH} and put its value into .env.")
    entries = [entry.strip() for entry in value.split(",") if entry.strip()]
    for position, entry in enumerate(entries, start=1):
        if problem := _key_problem(entry):
            raise ConfigurationError(f"{name}, entry {position}: {problem} {FRESH}.")
    ids = [entry.partition(":")[0] for entry in entries]
    if not ids or len(set(ids)) < len(ids):
        raise ConfigurationError(f"{name} needs at least one key, and each id once. {FRESH}.")
    return entries


def _key_problem(entry: str) -> str | None:
    """Say what is wrong with one entry, without showing it."""
    key_id, colon, material = entry.partition(":")
    if not colon or not KEY_ID.fullmatch(key_id):
        return "it is not of the form id:base64."
    if key_id == "pbkdf2":
        short = len(material) < SHORTEST_PASSPHRASE or len(set(material)) < FEWEST_DIFFERENT
        needed = f"at least {SHORTEST_PASSPHRASE} varied characters are needed."
        return f"the passphrase is too short or a pattern; {needed}" if short else None
    try:
        key = base64.b64decode(material, validate=True)
    except (binascii.Error, ValueError):
        return f"the key {key_id!r} is not base64."
    if len(key) != ENCRYPTION_KEY_BYTES:
        return f"the key {key_id!r} is {len(key)} bytes; {ENCRYPTION_KEY_BYTES} are needed."
    if len(set(key)) < FEWEST_DIFFERENT:
        return f"the key {key_id!r} is a pattern, not random bytes."
    return None
