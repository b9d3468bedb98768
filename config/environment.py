"""What the environment says, checked: a bad value is refused with the variable's name.

The environment wins over ``.env`` (or the file that ``GARRISON_ENV_FILE`` names), and that over
``VAR_DIR/servers.env``, in which ``make run`` leaves the addresses of the servers it has started.
``manage.py`` finds them there from any folder; relative paths are those of the checkout.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from dotenv import dotenv_values
from environs import Env

from audit.sealing import keyring as audit_keyring
from config.starter import runs
from encryption.keyring import entries
from garrison import keys
from garrison.errors import ConfigurationError

BASE_DIR = Path(__file__).resolve().parent.parent
SIGNING_KEY = re.compile(r"^[A-Za-z0-9_-]{1,32}:.", re.ASCII)
FRESH = "Run `manage.py generate_keys`"
SERVERS = {  # and how to write the address of one that is not ours
    "DATABASE_URL": "postgresql://user:password@host/db",
    "REDIS_URL": "redis://:password@host:6379/0",
}

env = Env()


def _read_file(path: Path) -> None:
    try:
        env.read_env(str(path), recurse=False)
    except (OSError, UnicodeDecodeError) as refusal:
        raise ConfigurationError(f"{path} cannot be read: {refusal}.") from None


def _find_run(env_file: Path) -> runs.Run | None:
    """Find the one site that ``make run`` runs on these keys, where nothing tells which is meant.

    The usual VAR_DIR goes first, and an address that is told anywhere is never replaced.
    """
    told = {**_values(env_file), **os.environ}
    if told.get("VAR_DIR") or told.get("DATABASE_URL") or (USUAL_VAR_DIR / runs.SERVERS).exists():
        return None
    is_told = bool(os.environ.get("GARRISON_ENV_FILE"))
    fitting = [run for run in runs.found() if not is_told or run.env_file == env_file]
    return fitting[0] if len(fitting) == 1 else None


def _values(path: Path) -> dict[str, str | None]:
    try:
        return dotenv_values(path)
    except (OSError, UnicodeDecodeError):  # refused by _read_file, in its own words
        return {}


USUAL_VAR_DIR = BASE_DIR / "var"
ENV_FILE = BASE_DIR / (env.str("GARRISON_ENV_FILE", "") or ".env")
if _run := _find_run(ENV_FILE):
    ENV_FILE, USUAL_VAR_DIR = _run.env_file, _run.var_dir
_read_file(ENV_FILE)
VAR_DIR = BASE_DIR / (env.str("VAR_DIR", "") or USUAL_VAR_DIR)
_read_file(VAR_DIR / runs.SERVERS)


def one_of(name: str, words: tuple[str, ...], *, default: str) -> str:
    """Read a variable that is one of a few words; any other is refused."""
    found = env.str(name, default)
    if found not in words:
        *others, last = words
        raise ConfigurationError(f"{name} is {found!r}; write {', '.join(others)} or {last}.")
    return found


KINDS = ("production", "development")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
IS_PRODUCTION = one_of("GARRISON_ENV", KINDS, default="production") == "production"


def log_form() -> str:
    """Read how the log is written: where nothing is told, as text for people, as JSON for machines.

    People are at a terminal, and at a site in development.
    """
    is_read_here = not IS_PRODUCTION or sys.stderr.isatty()
    return one_of("LOG_FORMAT", ("json", "text"), default="text" if is_read_here else "json")


def require(*names: str) -> None:
    """Refuse to start without these, each missing one in a sentence of its own."""
    missing = [name for name in names if not env.str(name, "").strip()]
    if missing:
        raise ConfigurationError("\n".join(f"{n} is not set. {_how_to_set(n)}" for n in missing))


def _how_to_set(name: str) -> str:
    if name not in SERVERS:
        return f"{FRESH} and put its value into {ENV_FILE}."
    if running := [str(run.var_dir) for run in runs.found() if run.var_dir != VAR_DIR]:
        return f"Set VAR_DIR to a site that runs, {' or '.join(running)}, or set {SERVERS[name]}."
    return f"`make run` starts a server, and none was found by {VAR_DIR}; or set {SERVERS[name]}."


def required(name: str) -> str:
    """Read a variable that has no default."""
    require(name)
    return env.str(name).strip()


def require_engine(engine: str) -> None:
    """Refuse a database that the apps are not written for, before anything is stored in it."""
    if not engine.endswith((".postgresql", ".sqlite3")):
        raise ConfigurationError(
            f"DATABASE_URL names {engine}; only PostgreSQL and SQLite are supported: "
            "postgresql://user:password@host/db or sqlite:///path."
        )


def secret(name: str, *, unlike: str | None = None, is_required: bool = True) -> str:
    """Read a secret; missing, default or too short ones stop the start, by name.

    ``unlike`` names another variable that must not hold the same: one leaked key must not open two
    doors. One that ``is_required`` not may be empty.
    """
    value = required(name) if is_required else env.str(name, "").strip()
    if value:
        _refuse_weak(name, value, unlike=unlike)
    return value


def listed(name: str) -> list[str]:
    """Read entries with commas between them; none is allowed, an empty entry is none."""
    written: list[str] = env.list(name, [])
    return [entry.strip() for entry in written if entry.strip()]


def secret_fallbacks(name: str, *, of: str) -> list[str]:
    """Read the older secrets (or the next one) that are accepted beside ``of``, which signs."""
    found = listed(name)
    for value in found:
        _refuse_weak(name, value, unlike=of)
    return found


def signing_keys(name: str, *, unlike: str) -> list[str]:
    """Read the keys of tokens, the active one first: one secret, or several as ``id:secret``.

    A secret without an id is ``k1``, so that a site can begin with one and rotate later.
    """
    value = required(name)
    entries = [entry.strip() for entry in value.split(",")]
    if not all(SIGNING_KEY.match(entry) for entry in entries):
        entries = [f"k1:{value}"]
    for entry in entries:
        _refuse_weak(name, entry.partition(":")[2], unlike=unlike)
    return entries


def _refuse_weak(name: str, value: str, *, unlike: str | None) -> None:
    if problem := keys.weakness(value):
        raise ConfigurationError(f"{name} {problem}. {FRESH}.")
    if unlike and value == env.str(unlike, "").strip():
        raise ConfigurationError(f"{name} is the same as {unlike}; they must differ. {FRESH}.")


def audit_keys(name: str) -> list[str]:
    """Read keys of the audit log, the active one first; none is allowed, a bad one is not."""
    found = listed(name)
    if problems := audit_keyring.read(found, what=name).problems:
        raise ConfigurationError(" ".join(problems))
    return found


def encryption_keys(name: str) -> list[str]:
    """Read the keys for secrets at rest, the active one first; ``encryption`` judges their form."""
    value = required(name)
    found = [entry.strip() for entry in value.split(",") if entry.strip()]
    if problems := entries.read(found).problems:
        raise ConfigurationError(f"{name}: {' '.join(problems)}")
    return found
