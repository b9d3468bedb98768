"""Child programs: no shell, a group of their own, every exit code checked.

A program that fails must never look like one that finished: :meth:`Program.read` gives the end of
its output only after the exit code was seen to be zero.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, Self

from backups.conf import settings
from backups.errors import ProgramFailed
from backups.threads import BackgroundCall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEPT_COMPLAINT_BYTES = 8192
PIPE_BYTES = 1024 * 1024  # what Linux allows anybody; the default is 64 KiB
NICENESS = 10  # below whatever serves people, who wait; a backup does not
# Lines of PostgreSQL's messages that quote rows: data has no place in a log.
_QUOTES_DATA = re.compile(r"(?:^|\n)(?:DETAIL|CONTEXT|STATEMENT|QUERY|LINE \d+):.*", re.DOTALL)


def lower_priority(process_or_thread_id: int) -> None:
    """Lower the priority of a process or, on Linux, of a single thread; elsewhere do nothing."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):  # it has ended already, or may not be lowered
        os.setpriority(os.PRIO_PROCESS, process_or_thread_id, NICENESS)


def _widen(pipe: IO[bytes] | None) -> None:
    """Let a pipe hold a megabyte, on Linux: a sixteenth of the changes between two programs."""
    if pipe is None or not hasattr(fcntl, "F_SETPIPE_SZ"):
        return
    with contextlib.suppress(OSError):  # the machine's limit for pipes is lower, or used up
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def lower_thread_priority() -> None:
    """Lower the priority of the calling thread, not of its process."""
    lower_priority(threading.get_native_id())


class Program:
    """One running program, killed with its whole group when left early or too slow."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        takes_input: bool = False,
        may_stop_reading: bool = False,
    ) -> None:
        """Start it, to be killed after ``BACKUPS_TIMEOUT_SECONDS``.

        ``argv`` must hold no secret: every user of the machine can read it. One that
        ``may_stop_reading`` may end well before its input does; the rest is passed over.
        """
        self._may_stop_reading = may_stop_reading
        self.name = os.path.basename(argv[0])  # noqa: PTH119 - a name, not a path operation
        self._process = subprocess.Popen(  # noqa: S603 - argv is ours, and there is no shell
            list(argv),
            env=dict(environment),
            stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            close_fds=True,
        )
        lower_priority(self._process.pid)
        _widen(self._process.stdout)
        self._complaint = bytearray()
        self._timed_out = False
        self._drain = BackgroundCall(self._drain_stderr)
        self._timer = threading.Timer(settings.timeout_seconds, self._time_out)
        self._timer.daemon = True
        self._timer.start()

    @property
    def stdin(self) -> IO[bytes]:
        """Where its input goes."""
        return self._process.stdin  # type: ignore[return-value]  # a pipe was asked for

    def read(self, size: int) -> bytes:
        """Read its output; the empty end is given only after a zero exit code."""
        stdout: IO[bytes] = self._process.stdout  # type: ignore[assignment]  # a pipe was asked for
        chunk = stdout.read(size)
        if not chunk:
            self.finish()
        return chunk

    def write(self, chunk: bytes) -> int:
        """Write all of it to the program's input."""
        view = memoryview(chunk)
        try:
            while view:
                view = view[self.stdin.write(view) :]
        except BrokenPipeError:
            self.finish()  # its own complaint tells more than a broken pipe
            if not self._may_stop_reading:
                why = f"{self.name} stopped reading before its input ended."
                raise ProgramFailed(why) from None
        return len(chunk)

    def end_input(self) -> None:
        """Close the program's input."""
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()

    def finish(self) -> None:
        """Wait for its end; anything but exit code zero is refused."""
        code = self._process.wait()
        self._timer.cancel()
        self._drain.wait(5)
        if self._timed_out:
            raise ProgramFailed(f"{self.name} was killed because it ran too long.")
        if code != 0:
            raise ProgramFailed(f"{self.name} ended with code {code}: {self.complaint()}")

    def complaint(self) -> str:
        """Return what it wrote to stderr, short and without the rows it may quote."""
        text = self._complaint.decode("utf-8", "replace").strip()
        text = _QUOTES_DATA.sub("", text).strip()
        return " ".join(text.split())[-400:] or "it said nothing"

    def kill(self) -> None:
        """Kill the group at once; safe to call at any time, also when it has ended."""
        self._timer.cancel()
        if self._process.poll() is None:
            self._kill_group()
            self._process.wait()
        self._drain.wait(5)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def __enter__(self) -> Self:
        """Return the program; it does not outlive the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what is still running and close the pipes."""
        self.kill()

    def _time_out(self) -> None:
        self._timed_out = True
        self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _drain_stderr(self) -> None:
        stream = self._process.stderr
        with contextlib.suppress(OSError, ValueError):
            while chunk := stream.read(4096):  # type: ignore[union-attr]  # a pipe was asked for
                self._complaint += chunk
                del self._complaint[:-KEPT_COMPLAINT_BYTES]
