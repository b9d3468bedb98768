"""Count what is uncounted, or count a span again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from audit import rollups
from audit.management.arguments import instant
from garrison.management.arguments import text

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Bring the counts behind the dashboard up to date."""

    help = (
        "Count security events by the minute and the hour, up to the last full minute. Celery does "
        "so every minute; run this where there is no Celery, or after restoring a backup."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--since",
            metavar="TIME",
            type=text,
            help="Also count again from this time on (ISO 8601, such as 2026-11-24T00:00Z).",
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, **options: Any) -> None:
        """Count, and say up to when."""
        now = timezone.now()
        if options["since"]:
            rollups.recount(start=instant(options["since"]), end=now)
        rollups.catch_up(now=now)
        until = rollups.counted_until()
        if options["json"]:
            self.stdout.write(json.dumps({"counted_until": until.isoformat() if until else None}))
        elif until:
            self.stdout.write(f"Counted until {until:%Y-%m-%d %H:%M %Z}.")
        else:
            self.stdout.write("There is nothing to count.")
