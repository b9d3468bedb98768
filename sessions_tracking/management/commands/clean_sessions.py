"""``manage.py clean_sessions``."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from garrison.management.arguments import LARGEST_DAYS, number
from sessions_tracking import services
from sessions_tracking.conf import settings

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    """Delete the rows of sessions that have long been over."""

    help = (
        "Delete the rows of sessions that ended or lapsed more than SESSIONS_KEEP_ENDED_DAYS ago, "
        "in batches; beat runs it every night."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--days", type=number(0, LARGEST_DAYS), help="Instead of SESSIONS_KEEP_ENDED_DAYS."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only count.")
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Clean, and print."""
        days = settings.keep_ended_days if options["days"] is None else options["days"]
        deleted = services.clean_sessions(
            older_than=timezone.now() - timedelta(days=days), dry_run=options["dry_run"]
        )
        report = {"deleted": deleted, "dry_run": options["dry_run"], "days": days}
        would = "would be deleted" if options["dry_run"] else "deleted"
        text = f"{deleted} row{'' if deleted == 1 else 's'} {would}."
        self.stdout.write(json.dumps(report) if options["json"] else text)
