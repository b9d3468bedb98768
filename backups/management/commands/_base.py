"""What the backup commands share: JSON or text, refusals as exit codes, a line of progress."""

from __future__ import annotations

import abc
import json
import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import BaseCommand, CommandError

from garrison.deferral import deferred_events
from garrison.errors import Refusal
from garrison.management.arguments import text

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from backups.models import Backup

BETWEEN_LINES = 0.2  # seconds
SHARED = {
    "backup": "Id or folder of a backup; the newest when left out.",
    "folder": "Folder of a backup, as backup_list shows it; a restore takes the newest without.",
    "--target": "Only the copy on this target; else the first or newest there is, or each.",
    "--identity": "Age identity file; BACKUP_IDENTITY_FILE otherwise.",
}


class BackupCommand(BaseCommand, abc.ABC):
    """Calls a service and reports; exit code 1 on a refusal, with its sentence."""

    takes: ClassVar[tuple[str, ...]] = ()  # which of the shared arguments

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what every command has, and what this one shares with others."""
        for name in self.takes:
            nargs = None if name.startswith("-") else "?"
            parser.add_argument(name, nargs=nargs, type=text, help=SHARED[name])
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

    def report(self, sentence: str, **fields: Any) -> None:
        """Print the sentence, or with ``--json`` the fields."""
        self.stdout.write(json.dumps(fields, default=str) if self.as_json else sentence)

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


def fields_of(backup: Backup) -> dict[str, Any]:
    """Return what the index holds of a backup, for ``--json``."""
    names = (
        "folder", "state", "kind", "content", "snapshot_at", "raw_bytes", "skipped", "seconds",
        "rows", "files", "recipients", "verified_at", "drilled_at", "damage", "indeterminate",
        "failure",
    )  # fmt: skip
    return {
        "id": backup.pk,
        **{name: getattr(backup, name) for name in names},
        "sent_bytes": backup.size_bytes,
        "parts": [part["what"] for part in backup.parts],
        "copies": {copy.target: copy.state for copy in backup.copies.all()},
    }


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
