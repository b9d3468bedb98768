"""Restore a backup into a scratch database and check it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from backups import services
from backups.management.commands._base import BackupCommand


class Command(BackupCommand):
    """Drills; exit code 1 unless every check passed."""

    help = (
        "Restore a backup into a scratch database, compare every table with the manifest, check "
        "migrations and files, let every app check its own data, record the seconds it took and "
        "the age of the data, and drop the scratch database. Exit code 1 unless all is whole."
    )

    takes = ("backup",)

    def run(self, **options: Any) -> None:
        """Drill, and report each finding."""
        drill = services.drill_now(backup_id=options["backup"], now=timezone.now())
        lines = [
            f"{'whole ' if each['is_whole'] else 'BROKEN'}  {each['name']}: {each['detail']}"
            f" ({each['looked_at']} looked at)"
            for each in drill.findings
        ]
        lines.append(
            f"RTO {drill.rto_seconds or 0:.1f} s, RPO {(drill.rpo_seconds or 0) / 3600:.1f} h"
        )
        self.report(
            "\n".join(lines),
            id=drill.pk,
            backup=drill.backup_id,
            state=drill.state,
            rto_seconds=drill.rto_seconds,
            rpo_seconds=drill.rpo_seconds,
            findings=drill.findings,
        )
        if drill.state != "good":
            raise CommandError(f"The drill found that the backup is not whole. {drill.failure}")
