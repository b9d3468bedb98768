"""A process of the site itself: the web server, the worker, beat."""

from __future__ import annotations

import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from config.starter import interruption, logs, private_files, processes
from config.starter.failure import StartFailure
from config.starter.part import Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

STOP = signal.SIGTERM  # granian and celery: finish what is being done, then end
PATIENCE_SECONDS = 10.0  # to answer what is being asked, and to finish the task at hand


class Child(Part):
    """One process in a session of its own, so that a Ctrl-C reaches only the starter.

    Its pid and birth are written to ``var_dir/run/<slug>.json`` as long as it lives: the next run
    finds there what a killed run has left behind.
    """

    def __init__(self, *, name: str, slug: str, var_dir: Path, command: Sequence[str]) -> None:
        """Describe the process; nothing is started."""
        self.name = name
        self.command = list(command)
        super().__init__(logs.path_for(var_dir, slug))
        self.record_path = var_dir / "run" / f"{slug}.json"
        self.is_asked = False

    def start(self, environment: Mapping[str, str], *, working_folder: Path) -> None:
        """Start it; whether it serves is for the caller to find out."""
        private_files.make_folder(self.record_path.parent)
        with logs.open_new(self.log_path) as log, interruption.shielded():
            try:
                self.process = subprocess.Popen(  # noqa: S603 - our own arguments
                    self.command,
                    cwd=working_folder,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as refusal:
                raise StartFailure(
                    f"The {self.name} cannot be started: {refusal.strerror}."
                ) from refusal
            pid = self.process.pid
            record = {"pid": pid, "birth": processes.birth(pid)}
            private_files.write_state(self.record_path, record)

    def ask_to_stop(self) -> None:
        """Ask it to end, and do not wait: ``stop()`` does that."""
        if self.poll() is None and self.process and not self.is_asked:
            self.is_asked = True
            processes.send(self.process.pid, STOP)

    def stop(self) -> None:
        """End it and everything it has started; harmless when it does not run."""
        if self.process:
            self._end(self.process.pid, ask_with=None if self.is_asked else STOP)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=1)
        self.record_path.unlink(missing_ok=True)

    def stop_survivor(self) -> bool:
        """End what a killed run has left behind; tell whether there was something."""
        record = private_files.read_state(self.record_path)
        pid, born = record.get("pid"), record.get("birth")
        found = isinstance(pid, int) and pid > 1 and bool(born) and processes.birth(pid) == born
        if found and isinstance(pid, int):
            self._end(pid, ask_with=STOP)
        self.record_path.unlink(missing_ok=True)
        return found

    def _end(self, pid: int, *, ask_with: signal.Signals | None) -> None:
        processes.end(
            pid,
            ask_with=ask_with,
            patience_seconds=PATIENCE_SECONDS,
            group=True,
            hurry=interruption.is_urgent,
        )
