"""``manage.py send_mails``: send what could not be sent at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from accounts import mails

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    """Send the mails that are due, for a site whose scheduler is not Celery's beat."""

    help = "Send the mails of accounts that are due; run it every minute where no beat runs."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the form of the report."""
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Send, and report how many were sent."""
        sent = mails.send_due()
        self.stdout.write(json.dumps({"sent": sent}) if options["json"] else f"Mails sent: {sent}.")
