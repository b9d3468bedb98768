"""Put the triggers back that keep evidence from being changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections

from audit import append_only

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Restore what `check --database` and the health report found missing."""

    help = (
        "Put back whichever database trigger is missing that keeps security events from being "
        "changed or removed. It cannot tell what was changed in the meantime."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            choices=tuple(connections),
            help="The database's alias.",
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, **options: Any) -> None:
        """Look, restore, and say what was missing."""
        connection = connections[options["database"]]
        missing = append_only.missing(connection)
        if not append_only.protect(connection):
            raise CommandError(
                f"{options['database']!r} ({connection.vendor}) holds no table of the audit log "
                "that triggers can keep. The log is in 'default', once `manage.py migrate` has run."
            )
        if options["json"]:
            self.stdout.write(json.dumps({"restored": missing}))
        else:
            self.stdout.write(f"Restored {', '.join(missing)}." if missing else "Nothing missing.")
