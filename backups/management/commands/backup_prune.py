"""Delete the backups that nothing keeps."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from backups import services
from backups.management.commands._base import BackupCommand, human
from garrison.management.arguments import number, text

HELD = 3  # exit code


class Command(BackupCommand):
    """Prunes; exit code 1 if a deletion failed, 3 if none was begun."""

    help = (
        "Delete backups older than BACKUPS_RETENTION_DAYS, the files that only they needed, and "
        "what failed and killed runs have left. Weekly and monthly keepers, the last good ones and "
        "the last one drilled always stay. --dry-run only tells. Exit code 1: a deletion failed; "
        "3: more would go than BACKUPS_PRUNE_PERCENT, or two clocks differ, and no backup went."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what may go."""
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="Delete nothing, only tell.")
        parser.add_argument(
            "--allow",
            type=number(1),
            default=0,
            metavar="N",
            help="Let so many backups go at once.",
        )
        parser.add_argument(
            "--forget-target",
            type=text,
            metavar="ALIAS",
            help="Give up the copies on a target that was taken out of BACKUPS_TARGETS; nothing is "
            "deleted there.",
        )

    def run(self, **options: Any) -> None:
        """Prune, and report."""
        now = timezone.now()
        if options["forget_target"]:
            count = services.forget_target(options["forget_target"], now=now)
            return self.report(f"Gave up {count} copies.", copies=count)
        pruned = services.prune(now=now, dry_run=options["dry_run"], allow=options["allow"])
        verb = "Would delete" if options["dry_run"] else "Deleted"
        lines = [f"{verb} backup {backup.folder}" for backup in pruned.backups]
        lines.append(f"{verb} {pruned.files} files ({human(pruned.file_bytes)}).")
        lines += [f"Deleted {pruned.orphans} files that no run had recorded."] * bool(
            pruned.orphans
        )
        lines += [f"Kept {len(pruned.kept)} backups."]
        lines += [f"FAILED: {failure}" for failure in pruned.failures]
        self.report(
            "\n".join(lines),
            dry_run=options["dry_run"],
            backups=[backup.folder for backup in pruned.backups],
            files=pruned.files,
            file_bytes=pruned.file_bytes,
            kept={str(pk): reason for pk, reason in pruned.kept.items()},
            orphans=pruned.orphans,
            held=pruned.held,
            failures=pruned.failures,
        )
        if pruned.held:
            raise CommandError(pruned.held, returncode=HELD)
        if pruned.failures:
            raise CommandError("Some deletions failed; they are tried again next time.")
        return None
