"""What the two embedded servers have in common: a folder, a port, a log, a start and a stop."""

from __future__ import annotations

import abc
import os
import secrets
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from config.starter import interruption, logs, ports, private_files, processes
from config.starter.failure import StartFailure
from config.starter.part import Part

if TYPE_CHECKING:
    import signal

READY_SECONDS = 60  # a cold disk on a busy machine; both usually take one second
STOP_SECONDS = 20
PORT_ATTEMPTS = 5


class EmbeddedServer(Part):
    """One server process that keeps its things in ``var_dir/<slug>/`` and logs to ``var_dir/log/``.

    ``start()`` first ends what an earlier run left behind, so that there is one way to begin. Port
    and password are remembered, so that an address stays the same from run to run.
    """

    slug: ClassVar[str]
    program: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, var_dir: Path) -> None:
        """Name the folders; nothing is created before ``start()``."""
        self.var_dir = var_dir.absolute()
        self.folder = self.var_dir / self.slug
        super().__init__(logs.path_for(self.var_dir, self.slug))
        self.state_path = self.folder / "state.json"
        self.state: dict[str, Any] = {}

    # --- What each server knows of itself ---------------------------------------------------------

    @abc.abstractmethod
    def prepare(self) -> None:
        """Make what must exist before the program can start."""

    @abc.abstractmethod
    def launch(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the program on ``self.port``."""

    @abc.abstractmethod
    def is_ready(self) -> bool:
        """Return whether it answers and accepts the password."""

    @abc.abstractmethod
    def url(self) -> str:
        """Return the address with the password; never to be printed."""

    @abc.abstractmethod
    def pid_file(self) -> Path:
        """Name the file in which the program writes its own pid."""

    @abc.abstractmethod
    def home(self) -> Path:
        """Name the folder that stands in the program's arguments and belongs to it alone."""

    # --- Starting ---------------------------------------------------------------------------------

    def start(self) -> str:
        """Start, wait until it answers, and give its address; raises :class:`StartFailure`."""
        private_files.make_folder(self.folder)
        self.state = private_files.read_state(self.state_path)
        self.state.setdefault("password", secrets.token_urlsafe(24))
        self.stop_survivor()
        self.prepare()
        for _ in range(PORT_ATTEMPTS):
            if self._start_on(self._choose_port()):
                return self.url()
        raise StartFailure(f"{self.name} found no free port to listen on. {self.log_tail()}")

    @property
    def port(self) -> int:
        """The port of this run."""
        return int(self.state["port"])

    @property
    def password(self) -> str:
        """The password of the only account."""
        return str(self.state["password"])

    def remember(self, **facts: object) -> None:
        """Keep facts for the next run."""
        self.state |= facts
        private_files.write_state(self.state_path, self.state)

    def _choose_port(self) -> int:
        remembered = self.state.get("port")
        if isinstance(remembered, int) and ports.is_free(remembered):
            return remembered
        return ports.free_port()

    def _start_on(self, port: int) -> bool:
        """Try one port; ``False`` when somebody else took it in between."""
        self.remember(port=port)
        try:
            with logs.open_new(self.log_path) as log, interruption.shielded():
                self.process = self.launch(log)
        except OSError as refusal:
            raise StartFailure(f"{self.name} cannot be started: {refusal.strerror}.") from refusal
        deadline = time.monotonic() + READY_SECONDS
        while self.process.poll() is None:
            if self.is_ready():
                return True
            if time.monotonic() > deadline:
                self.stop()
                raise StartFailure(
                    f"{self.name} did not answer within {READY_SECONDS} seconds. {self.log_tail()}"
                )
            time.sleep(processes.POLL_SECONDS)
        if not ports.is_free(port):
            return False
        raise StartFailure(
            f"{self.name} ended at once, with code {self.process.returncode}. {self.log_tail()}"
        )

    def spawn(
        self,
        arguments: list[str],
        log: IO[bytes],
        *,
        stdin: int = subprocess.DEVNULL,
        **options: Any,
    ) -> subprocess.Popen[bytes]:
        """Start the program as a process, with nothing of our environment."""
        return subprocess.Popen(  # noqa: S603 - our own arguments
            arguments,
            stdin=stdin,
            stdout=log,
            stderr=log,
            env=plain_environment(),
            start_new_session=True,  # Ctrl-C is for the starter, which stops it last
            **options,
        )

    # --- Stopping ---------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the program, and wait for it; harmless when it does not run."""
        if self.process and self.process.poll() is None:
            self._end(self.process.pid)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=1)

    def stop_survivor(self) -> None:
        """End what a killed run has left behind."""
        pid = self.running_pid()
        if pid is not None:
            self._end(pid)

    def running_pid(self) -> int | None:
        """Return the pid of a living server of this folder, whoever started it.

        The pid file alone is not believed: the process must also be this program with this folder
        among its arguments.
        """
        try:
            pid = int(self.pid_file().read_text(encoding="ascii").split()[0])
        except (OSError, ValueError, IndexError):
            return None
        arguments = processes.command_line(pid) if pid > 1 else []
        is_ours = (
            bool(arguments)
            and Path(arguments[0]).name == self.program
            and str(self.home()) in arguments
        )
        return pid if is_ours else None

    def _end(self, pid: int) -> None:
        processes.end(pid, ask_with=self.stop_signal, patience_seconds=STOP_SECONDS)


def plain_environment() -> dict[str, str]:
    """Return the few variables a server needs: none of the keys in ours are its business."""
    kept = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}
