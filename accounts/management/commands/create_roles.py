"""``manage.py create_roles``: make the roles that the installed apps declare."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from accounts.services.roles import compare_roles, create_roles

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from accounts.services.roles import RoleComparison


class Command(BaseCommand):
    """Create the groups of the declared roles, and give them the permissions they lack."""

    help = (
        "Create the groups of the declared roles, and give them the permissions they lack. Run it "
        "after each migrate; what staff added to a group is left. With --check it exits with 1 "
        "where something is missing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--dry-run", action="store_true", help="Show, and change nothing.")
        which.add_argument("--check", action="store_true", help="Likewise; exit 1 if incomplete.")
        which.add_argument(
            "--take-extra", action="store_true", help="Take away what is not declared."
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Call the service and report what differed."""
        takes = options["take_extra"]
        only_looks = options["dry_run"] or options["check"]
        compared = compare_roles() if only_looks else create_roles(takes_extra=takes)
        if options["json"]:
            self.stdout.write(json.dumps([asdict(found) for found in compared], indent=2))
        else:
            for found in compared:
                self._report(found, done=not only_looks, takes_extra=takes)
        if options["check"] and any(not f.exists or f.missing for f in compared):
            raise CommandError("The roles are incomplete; run manage.py create_roles.")

    def _report(self, found: RoleComparison, *, done: bool, takes_extra: bool) -> None:
        state = "exists" if found.exists else "created" if done else "does not exist"
        self.stdout.write(f"{found.role}: {state}")
        for sign, names, note in (
            ("+", found.missing, "given" if done else "missing"),
            ("-", found.extra, "taken" if takes_extra else "not declared, left"),
            ("?", found.unknown, "there is no such permission; run migrate, or mend its name"),
        ):
            for name in names:
                self.stdout.write(f"  {sign} {name}  ({note})")
