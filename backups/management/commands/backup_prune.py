"""Delete the backups that nothing keeps."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from backups import services
from backups.management.commands._base import BackupCommand, human


class Command(BackupCommand):
    """Prunes; exit code 1 if a deletion failed."""

    help = (
        "Delete backups older than BACKUPS_RETENTION_DAYS, and the files that only they needed. "
        "Weekly and monthly keepers, the last good ones and the last one drilled always stay. "
        "--dry-run only tells."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the dry run."""
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="Delete nothing, only tell.")

    def run(self, **options: Any) -> None:
        """Prune, and report."""
        pruned = services.prune(now=timezone.now(), dry_run=options["dry_run"])
        verb = "Would delete" if options["dry_run"] else "Deleted"
        lines = [f"{verb} backup {backup.folder}" for backup in pruned.backups]
        lines.append(f"{verb} {pruned.files} files ({human(pruned.file_bytes)}).")
        lines += [f"Kept {len(pruned.kept)} backups."]
        lines += [f"FAILED: {failure}" for failure in pruned.failures]
        self.report(
            "\n".join(lines),
            dry_run=options["dry_run"],
            backups=[backup.folder for backup in pruned.backups],
            files=pruned.files,
            file_bytes=pruned.file_bytes,
            kept={str(pk): reason for pk, reason in pruned.kept.items()},
            failures=pruned.failures,
        )
        if pruned.failures:
            raise CommandError("Some deletions failed; they are tried again next time.")
