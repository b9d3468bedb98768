"""What the backup commands share: JSON or text, refusals as exit codes, a line of progress."""

from __future__ import annotations

import abc
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from garrison.deferral import deferred_events
from garrison.errors import Refusal

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

BETWEEN_LINES = 0.2  # seconds


class BackupCommand(BaseCommand, abc.ABC):
    """Calls a service and reports; exit code 1 on a refusal, with its sentence."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what every command has."""
        parser.add_argument("--json", action="store_true", help="Print JSON, for programs.")

    def handle(self, **options: Any) -> None:
        """Run, and turn a refusal into an exit code."""
        self.as_json: bool = options["json"]
        self._shown_at = 0.0
        try:
            with deferred_events():
                self.run(**options)
        except Refusal as refusal:
            if self.as_json:
                self.stdout.write(json.dumps({"code": refusal.code, "detail": refusal.detail}))
            raise CommandError(refusal.detail, returncode=self.exit_code(refusal)) from refusal

    def exit_code(self, refusal: Refusal) -> int:  # noqa: ARG002
        """Return the exit code of a refusal; a command may tell some apart."""
        return 1

    @abc.abstractmethod
    def run(self, **options: Any) -> None:
        """Do it; each command has its own."""

    def report(self, text: str, **fields: Any) -> None:
        """Print the text, or with ``--json`` the fields."""
        self.stdout.write(json.dumps(fields, default=str) if self.as_json else text)

    def progress(self, stage: str, done: int = 0, expected: int = 0) -> None:
        """Show one line that changes, on a terminal only."""
        now = time.monotonic()
        if (
            self.as_json
            or not sys.stderr.isatty()
            or (done and now - self._shown_at < BETWEEN_LINES)
        ):
            return
        self._shown_at = now
        share = f" {min(100, 100 * done // expected)} %" if expected else ""
        self.stderr.write(f"\r\x1b[K{stage} {human(done)}{share}", ending="")


def human(size: float) -> str:
    """Write a number of bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def counted(skipped: dict[str, int]) -> str:
    """Write what a backup has skipped, by kind."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(skipped.items())) or "nothing"
