"""Questions about processes that may have outlived whoever started them.

A pid alone proves nothing, because the system gives numbers out again. So a process counts as
"ours" only with a second sign: its command line names our folder, or it began at the very tick
that was written down with its pid.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PROC = Path("/proc")
POLL_SECONDS = 0.05
KILL_SECONDS = 5.0


def command_line(pid: int) -> list[str]:
    """Return the arguments of a process; empty when it is gone or a zombie."""
    if PROC.is_dir():
        with suppress(OSError):
            raw = (PROC / str(pid) / "cmdline").read_bytes()
            return [os.fsdecode(part) for part in raw.split(b"\0") if part]
        return []
    return _ask_ps(pid, "args").split()


def birth(pid: int) -> str:
    """Return a text that no other process of this machine shares; empty when it is gone.

    The kernel's boot id and the clock tick at which the process began; where there is no
    ``/proc``, the date that ``ps`` tells.
    """
    if not PROC.is_dir():
        return _ask_ps(pid, "lstart")
    with suppress(OSError, IndexError):
        # The name in parentheses may itself hold blanks and parentheses: read after the last one.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        state, started_tick = fields[0], fields[19]  # proc(5): fields 3 and 22
        if state not in {"Z", "X"}:
            boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
            return f"{boot}:{started_tick}"
    return ""


def _ask_ps(pid: int, column: str) -> str:
    asked = ["ps", "-ww", "-o", f"{column}=", "-p", str(pid)]
    with suppress(OSError):
        answer = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603
        return answer.stdout.strip()
    return ""


def end(
    pid: int,
    *,
    ask_with: signal.Signals | None,
    patience_seconds: float,
    group: bool = False,
    hurry: Callable[[], bool] = lambda: False,
) -> None:
    """Signal a process to end, wait, and kill it when its time is over or ``hurry`` says so.

    ``ask_with=None`` is for one that has been asked already: some programs take a second request
    for impatience.
    With ``group``, what is left of the process group that the pid leads is killed in any case.
    Whoever calls has made sure that the pid is the process that is meant.
    """
    born = birth(pid)
    went = True
    if born:
        if ask_with is not None:
            send(pid, ask_with)
        went = _gone_within(pid, born, patience_seconds, hurry=hurry)
    if group or not went:
        send(pid, signal.SIGKILL, group=group)
        _gone_within(pid, born, KILL_SECONDS, hurry=lambda: False)


def send(pid: int, sent: signal.Signals, *, group: bool = False) -> None:
    """Send a signal to a process, or to the group it leads; harmless when it is gone."""
    with suppress(ProcessLookupError, PermissionError):  # gone, or not ours any more
        os.killpg(pid, sent) if group else os.kill(pid, sent)


def _gone_within(pid: int, born: str, seconds: float, *, hurry: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while born and birth(pid) == born:
        if time.monotonic() > deadline or hurry():
            return False
        time.sleep(POLL_SECONDS)
    return True
