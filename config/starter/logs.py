"""The log file of each process: one for this run, one of the run before."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from config.starter.private_files import ONLY_OWNER, make_folder

if TYPE_CHECKING:
    from pathlib import Path

TAIL_LINES = 15
TAIL_BYTES = 64 * 1024


def path_for(var_dir: Path, slug: str) -> Path:
    """Name a process's log."""
    return var_dir / "log" / f"{slug}.log"


def open_new(path: Path) -> IO[bytes]:
    """Begin a log of mode 0600; the one before it is kept under ``.log.1``."""
    make_folder(path.parent)
    with suppress(FileNotFoundError):
        path.replace(path.with_suffix(".log.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, ONLY_OWNER), "ab")


def tail(path: Path) -> str:
    """Quote the last lines, for the message of a failure."""
    lines: list[str] = []
    with suppress(OSError), path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - TAIL_BYTES))
        lines = log.read().decode("utf-8", errors="replace").splitlines()
    if not lines:
        return f"Its log, {path}, is empty."
    quoted = "\n".join(f"  | {line}" for line in lines[-TAIL_LINES:])
    return f"The end of {path}:\n{quoted}"
