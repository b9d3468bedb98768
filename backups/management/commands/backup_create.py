"""Make a backup now, or the scheduled one if it is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.utils import timezone

from backups import services
from backups.files.skipped import MISSING, UNREADABLE
from backups.management.commands._base import BackupCommand, counted, fields_of, human
from backups.models.backup import Content, CopyState

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from backups.models import Backup

INCOMPLETE = 3  # exit code, as restic's


class Command(BackupCommand):
    """Makes one encrypted backup of the database and the files on every target."""

    help = (
        "Make an encrypted backup of the database and the files, now, on every target. "
        "With --if-due (for cron, where no beat runs) make last night's only if it is missing, and "
        "do whatever waits in the queue, and prune. Exit code 1: there is no backup; 3: there is "
        "one, and not every target holds it, or a file could not be read."
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
            with services.pruning_after():
                made = services.backup_now(
                    content=options["only"] or Content.ALL, now=now, on_progress=self.progress
                )
        self._tell(made)

    def _tell(self, made: Backup | None) -> None:
        if made is None:
            self.report("Nothing is due.", id=None)
            return
        fields = fields_of(made)
        lacking = made.copies.exclude(state=CopyState.GOOD)
        failures = {copy.target: copy.failure for copy in lacking}
        self.report(
            f"{made.folder}: {human(made.raw_bytes)} in {made.seconds or 0:.1f} s, "
            f"{human(made.size_bytes)} sent, {made.rows} rows, {made.files} files "
            f"(skipped: {counted(made.skipped)}); "
            + ", ".join(f"{target}: {state}" for target, state in fields["copies"].items()),
            failures=failures,
            **fields,
        )
        lacks = [f"It is not on {target}: {why}" for target, why in failures.items()]
        if count := made.skipped.get(UNREADABLE):
            lacks.append(f"{count} files could not be read: manage.py backup_list {made.folder}")
        if count := made.skipped.get(MISSING):
            lacks.append(f"It holds no file, and the last one {count}: is the disk mounted?")
        if lacks:
            raise CommandError(f"INCOMPLETE. {' '.join(lacks)}", returncode=INCOMPLETE)
