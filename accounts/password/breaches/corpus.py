"""The offline corpus: the official text of Pwned Passwords, a sorted line ``SHA1:COUNT`` for each.

``manage.py breach_corpus install`` puts it in place. It is bisected, by some thirty small reads
whatever its size, and not mapped into memory: a file that is cut short under a process that maps it
kills the process.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from accounts.conf import settings
from accounts.errors import CorpusMalformed

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

HASH_CHARACTERS = 40
LONGEST_LINE = 64  # bytes: a hash, a colon, a count, the end
LINES_BETWEEN_REPORTS = 1_000_000
_LINE = re.compile(rb"([0-9A-Fa-f]{40}):([0-9]{1,12})\r?\n?")


@dataclass(frozen=True, slots=True)
class Status:
    """What is installed: where, how large, since when."""

    path: str
    size_bytes: int
    installed_at: datetime


def installed_path() -> Path | None:
    """Return where the corpus is; ``None`` where none is installed."""
    path = Path(settings.breach_corpus)
    return path if settings.breach_corpus and path.is_file() else None


def count_of(sha1: str, *, path: Path) -> int:
    """Return how often the hash (in hexadecimal) was seen, 0 for never.

    Raises ``OSError`` where the file cannot be read, and
    :class:`~accounts.errors.CorpusMalformed` where it is no such text.
    """
    wanted = sha1.upper().encode()
    with path.open("rb", buffering=0) as file:
        low, high = 0, file.seek(0, os.SEEK_END)  # both where a line begins, or the file ends
        while low < high:
            start, line = _line_around(file, (low + high) // 2, low=low)
            found = _LINE.fullmatch(line)
            if found is None:
                raise CorpusMalformed(f"{path} is no list of hashes at byte {start:,}.")
            known = found[1].upper()
            if known == wanted:
                return int(found[2])
            low, high = (start + len(line), high) if known < wanted else (low, start)
    return 0


def _line_around(file: BinaryIO, at: int, *, low: int) -> tuple[int, bytes]:
    """Return the line that holds this byte and where it begins, at ``low`` or later."""
    began = max(low, at - LONGEST_LINE)
    file.seek(began)
    read = file.read(2 * LONGEST_LINE)
    start = read.rfind(b"\n", 0, at - began) + 1
    end = read.find(b"\n", start)
    return began + start, read[start:] if end < 0 else read[start : end + 1]


def status() -> Status | None:
    """Return what is installed, after a look at its first line; ``None`` for nothing.

    Raises what :func:`count_of` raises.
    """
    path = installed_path()
    if path is None:
        return None
    count_of("0" * HASH_CHARACTERS, path=path)
    known = path.stat()
    return Status(str(path), known.st_size, datetime.fromtimestamp(known.st_mtime, UTC))


def install(source: Path, *, report: Callable[[int], None] = lambda _: None) -> int:
    """Check each line, put a copy in place in one step, and return the number of lines.

    What was installed before serves until then, and stays where the new one is refused. Raises
    ``OSError``, or :class:`~accounts.errors.CorpusMalformed` with the line's number.
    """
    target = Path(settings.breach_corpus)
    if not settings.breach_corpus:
        raise CorpusMalformed("ACCOUNTS_BREACH_CORPUS is empty; set it to where the file is to be.")
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    try:
        with source.open("rb") as given, os.fdopen(handle, "wb") as copy:
            count = _copy(given, copy, report=report)
            copy.flush()
            os.fsync(copy.fileno())
        Path(name).chmod(0o644)  # public knowledge, and read by every process of the site
        Path(name).replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    return count


def _copy(source: BinaryIO, copy: BinaryIO, *, report: Callable[[int], None]) -> int:
    before, number, last = b"", 0, b"\n"
    lines = iter(partial(source.readline, LONGEST_LINE), b"")
    for number, line in enumerate(lines, start=1):
        found = _LINE.fullmatch(line)
        if found is None or not last.endswith(b"\n"):
            raise CorpusMalformed(f"Line {number:,} is not SHA1:COUNT.")
        known = found[1].upper()
        if known <= before:
            raise CorpusMalformed(f"Line {number:,} is out of order; take the one sorted by hash.")
        copy.write(line)
        before, last = known, line
        if number % LINES_BETWEEN_REPORTS == 0:
            report(number)
    if not number:
        raise CorpusMalformed("The file is empty.")
    return number
