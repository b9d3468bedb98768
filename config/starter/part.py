"""What the supervisor holds: a server or a process of the site."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from config.starter import logs

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


class Part(abc.ABC):
    """A process that is started, kept in view and stopped; ``name`` is for messages."""

    name: str

    def __init__(self, log_path: Path) -> None:
        """Describe the process; nothing is started."""
        self.log_path = log_path
        self.process: subprocess.Popen[bytes] | None = None

    @abc.abstractmethod
    def stop(self) -> None:
        """End it, and wait for it; harmless when it does not run."""

    def poll(self) -> int | None:
        """Return the exit code when it has ended by itself, else ``None``."""
        return self.process.poll() if self.process else None

    def log_tail(self) -> str:
        """Quote the last lines of its log, for a failure's message."""
        return logs.tail(self.log_path)
