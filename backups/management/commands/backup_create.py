"""Make a backup now, or the scheduled one if it is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from backups import services
from backups.management.commands._base import BackupCommand, human
from backups.models.backup import Content

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from backups.models import Backup


class Command(BackupCommand):
    """Makes one encrypted backup of the database and the files on every target."""

    help = (
        "Make an encrypted backup of the database and the files, now, on every target. "
        "With --if-due (for cron, where no beat runs) make last night's only if it is missing, and "
        "do whatever waits in the queue."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what to back up."""
        super().add_arguments(parser)
        parser.add_argument(
            "--only", choices=["database", "files"], help="Leave the other one out."
        )
        parser.add_argument(
            "--if-due", action="store_true", help="Make the scheduled backup unless it is there."
        )

    def run(self, **options: Any) -> None:
        """Make it."""
        now = timezone.now()
        if options["if_due"]:
            services.queue_due(now=now)
            services.check_backups(now=now)
            made = services.run_queued(now=now)
        else:
            made = services.backup_now(
                content=options["only"] or Content.ALL, now=now, on_progress=self.progress
            )
        self._tell(made)

    def _tell(self, made: Backup | None) -> None:
        if made is None:
            self.report("Nothing is due.", id=None)
            return
        copies = {copy.target: copy.state for copy in made.copies.all()}
        self.report(
            f"{made.folder}: {human(made.raw_bytes)} in {made.seconds or 0:.1f} s, "
            f"{human(made.size_bytes)} sent, {made.rows} rows, {made.files} files; "
            + ", ".join(f"{target}: {state}" for target, state in copies.items()),
            id=made.pk,
            folder=made.folder,
            raw_bytes=made.raw_bytes,
            sent_bytes=made.size_bytes,
            seconds=made.seconds,
            rows=made.rows,
            files=made.files,
            copies=copies,
        )
