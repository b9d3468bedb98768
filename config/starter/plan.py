"""What this run was told, by the environment and by ``.env``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from config.starter.failure import StartFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE_DIR = Path(__file__).resolve().parents[2]
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Plan:
    """Where to listen, where to keep things, and what is there already."""

    host: str
    port: int
    var_dir: Path
    env_file: Path
    kind: str  # GARRISON_ENV: development unless something says production
    web_workers: int
    brings_database: bool  # DATABASE_URL names a server that is not ours to start
    brings_store: bool  # the same of REDIS_URL

    @property
    def browser_host(self) -> str:
        """The address under which this machine itself reaches the web server."""
        every = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - to compare
        return every.get(self.host, self.host)

    @property
    def address(self) -> str:
        """The address to print."""
        host = self.browser_host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def read(environment: Mapping[str, str] = os.environ) -> Plan:
    """Read the plan; the environment wins over ``.env``, and an empty variable counts as unset."""
    env_file = BASE_DIR / (environment.get("GARRISON_ENV_FILE") or ".env")
    told = _file(env_file) | {name: value for name, value in environment.items() if value}
    return Plan(
        host=told.get("HOST") or "127.0.0.1",
        port=_number("PORT", told.get("PORT") or "8000", highest=HIGHEST_PORT),
        var_dir=BASE_DIR / (told.get("VAR_DIR") or "var"),
        env_file=env_file,
        kind=told.get("GARRISON_ENV") or "development",
        web_workers=_number("WEB_WORKERS", told.get("WEB_WORKERS") or "2", highest=64),
        brings_database=bool(told.get("DATABASE_URL")),
        brings_store=bool(told.get("REDIS_URL")),
    )


def _file(path: Path) -> dict[str, str]:
    try:
        return {name: value for name, value in dotenv_values(path).items() if value}
    except (OSError, UnicodeDecodeError) as refusal:
        raise StartFailure(f"{path} cannot be read: {refusal}.") from refusal


def _number(name: str, text: str, *, highest: int) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= highest):
        raise StartFailure(f"{name} is {text!r}; a number from 1 to {highest} is needed.")
    return int(text)
