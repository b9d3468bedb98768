"""Keeping everything that was started in view, and stopping it in order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from config.starter import interruption
from config.starter.child import Child
from config.starter.failure import StartFailure
from config.starter.server import EmbeddedServer

if TYPE_CHECKING:
    from config.starter.part import Part

LOOK_SECONDS = 0.2
RESTART_AFTER_SECONDS = 3.0
MOST_RESTARTS = 3  # of one server in …
RESTARTS_WINDOW_SECONDS = 60.0  # … this time; more is a fault that a restart does not mend


class Supervisor:
    """Holds the parts in the order they were started.

    A process of the site that ends by itself ends everything, with its name and the end of its
    log. The database and the store are started again, as a service manager would: the site is
    built to live through their absence, and a development machine should show that.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.parts: list[Part] = []
        self._restarts: dict[str, list[float]] = {}

    def add(self, part: Part) -> None:
        """Answer for a part; called before it is started, so that none is ever forgotten."""
        self.parts.append(part)

    def watch(self) -> None:
        """Look after the parts until an interruption or a failure ends it."""
        while True:
            self.look()
            time.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Look once; raises :class:`StartFailure` when a process has ended."""
        for part in self.parts:
            code = part.poll()
            if code is None:
                continue
            if isinstance(part, EmbeddedServer) and self._may_restart(part.name):
                self._restart(part, code)
                continue
            raise StartFailure(
                f"The {part.name} has ended unexpectedly, {_how(code)}. {part.log_tail()}"
            )

    def stop(self) -> None:
        """Stop what was started last first, so that nothing loses the ground it stands on.

        The processes of the site are asked all at once, because each takes its seconds; the
        servers below them only when all of those have ended.
        """
        interruption.begin_stopping()
        for part in self.parts:
            if isinstance(part, Child):
                part.ask_to_stop()
        while self.parts:
            self.parts.pop().stop()

    def _may_restart(self, name: str) -> bool:
        now = time.monotonic()
        recent = [at for at in self._restarts.get(name, []) if now - at < RESTARTS_WINDOW_SECONDS]
        self._restarts[name] = [*recent, now]
        return len(recent) < MOST_RESTARTS

    def _restart(self, server: EmbeddedServer, code: int) -> None:
        print(f"{server.name} has ended unexpectedly, {_how(code)}; starting it again …")
        time.sleep(RESTART_AFTER_SECONDS)
        address = server.url()
        if server.start() != address:
            raise StartFailure(
                f"{server.name} could only be started on another port, where the site would not "
                "find it. Run the command again."
            )
        print(f"{server.name} is back.")


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"with code {code}"
