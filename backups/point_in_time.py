"""What pgBackRest or WAL-G, which recover a database to a point in time, say of themselves.

They make base backups and archive the write-ahead log; nothing of that is ours. A site that uses
one names the command that lists its backups, and is told when they are old or archiving fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import connections

from backups.conf import settings
from backups.errors import ProgramFailed

SECONDS = 5  # a page of the dashboard waits for it
LARGEST = 4 * 1024 * 1024  # bytes; pgBackRest writes about 700 for a backup
REMEMBERED_SECONDS = 60
CLOCKS_APART = timedelta(minutes=5)
PASSED_ON = ("PATH", "HOME", "USER", "LANG")  # none of the site's secrets
_MALFORMED = (
    ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError,
)  # fmt: skip
_ARCHIVING_FAILS = """
SELECT last_failed_time FROM pg_stat_archiver
 WHERE last_failed_time > coalesce(last_archived_time, '-infinity')
"""


@dataclass(frozen=True, slots=True)
class PointInTime:
    """What was found: the tool, its newest whole backup, and what is wrong, or nothing."""

    tool: str
    newest_at: datetime | None
    problem: str


def look(*, now: datetime) -> PointInTime | None:
    """Run ``BACKUPS_POINT_IN_TIME`` and judge what it lists; ``None`` where there is no command.

    It is run once a minute and process at most, so that no page is slow for long.
    """
    command = tuple(settings.point_in_time)
    if not command:
        return None
    found = _listed(command, now.timestamp() // REMEMBERED_SECONDS)
    if found.newest_at is None:
        return found
    return replace(found, problem=_age(found.newest_at, now) or _archiving())


@lru_cache(maxsize=1)
def _listed(command: tuple[str, ...], _while: float) -> PointInTime:
    try:
        return PointInTime(*read(_output(command)), problem="")
    except ProgramFailed as refusal:
        return PointInTime(os.path.basename(command[0]), None, refusal.detail)  # noqa: PTH119


def _age(newest_at: datetime, now: datetime) -> str:
    if newest_at > now + CLOCKS_APART:
        return f"The newest backup ends in the future, at {_minute(newest_at)}."
    if now - newest_at > timedelta(hours=settings.point_in_time_overdue_hours):
        return f"The newest backup is of {_minute(newest_at)}."
    return ""


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _archiving() -> str:
    """Ask the server itself: no list of backups shows that the log is not archived."""
    connection = connections[settings.databases[0]]
    if connection.vendor != "postgresql":
        return ""
    with connection.cursor() as cursor:
        cursor.execute(_ARCHIVING_FAILS)
        row = cursor.fetchone()
    return f"Archiving the log fails, last at {_minute(row[0])}." if row else ""


def read(output: bytes) -> tuple[str, datetime]:
    """Return the tool and the end of its newest backup; of several stanzas, of the worst.

    Raises :class:`~backups.errors.ProgramFailed` for what is not such a list, lists no backup, or
    lists one that the tool itself finds wrong.
    """
    try:
        listed = json.loads(output or b"[]")
        if listed and all("backup_name" in entry for entry in listed):
            return "WAL-G", max(map(_finish, listed))
        return "pgBackRest", min(map(_stanza, listed))
    except _MALFORMED:
        if output.strip() in {b"", b"[]"}:
            raise ProgramFailed("It lists no backup.") from None
        raise ProgramFailed("It wrote neither pgBackRest's nor WAL-G's list in JSON.") from None


def _finish(entry: dict[str, Any]) -> datetime:
    """Return the end of a backup (WAL-G's ``backup-list --json --detail``)."""
    return datetime.fromisoformat(entry["finish_time"]).astimezone(UTC)


def _stanza(entry: dict[str, Any]) -> datetime:
    """Return the end of a stanza's newest backup (pgBackRest's ``info``, in JSON)."""
    name, status = _plain(entry["name"]), entry["status"]
    if status["code"] != 0:
        of_repositories = [each["status"] for each in entry.get("repo", ())]
        first = next((each for each in of_repositories if each["code"] != 0), status)
        raise ProgramFailed(f"Stanza {name}: {_plain(first['message'])}")
    newest = max(entry["backup"], key=lambda backup: backup["timestamp"]["stop"])
    if newest.get("error"):
        raise ProgramFailed(f"Stanza {name}: the newest backup holds pages with wrong checksums.")
    return datetime.fromtimestamp(newest["timestamp"]["stop"], UTC)


def _plain(text: object) -> str:
    """Return the first line of a text, short and without what drives a terminal."""
    return "".join(c for c in str(text)[:200].partition("\n")[0] if c.isprintable())


def _output(command: tuple[str, ...]) -> bytes:
    """Run it without a shell; refuses failure, silence beyond the time and endless output."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    until = time.monotonic() + SECONDS
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own list of arguments
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or type(failure).__name__
        raise ProgramFailed(f"It cannot be started: {reason}.") from None
    with process.stdout:  # type: ignore[union-attr]  # a pipe was asked for
        try:
            output = _read(process.stdout.fileno(), until)  # type: ignore[union-attr]  # as above
            code = process.wait(max(0.0, until - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise ProgramFailed(f"It did not answer within {SECONDS} seconds.") from None
        finally:
            _kill(process)
    if code != 0:
        raise ProgramFailed(f"It ended with code {code}; run it by hand as the site's user.")
    return output


def _read(pipe: int, until: float) -> bytes:
    found = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while len(found) <= LARGEST:
            if not selector.select(max(0.0, until - time.monotonic())):
                raise TimeoutError
            chunk = os.read(pipe, 65536)
            if not chunk:
                return bytes(found)
            found += chunk
    raise ProgramFailed(f"It wrote more than {LARGEST} bytes.")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill its whole group, and wait for nobody: under sudo it may not be ours to kill."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1)
