"""``manage.py generate_keys``: a fresh value for every secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from config.starter import keys, private_files
from config.starter.failure import StartFailure
from garrison.management.arguments import text

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Print fresh keys; change nothing, and need no settings, so that it can run before them."""

    help = (
        "Print a fresh value for every secret of the environment, as lines of a .env file. Nothing "
        "is stored: what is printed is the only copy. The identity that opens backups goes to a "
        "file of its own, or to the error stream, because it does not belong on this machine."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the two options."""
        parser.add_argument(
            "--json", action="store_true", help="Print one JSON object, identity included."
        )
        parser.add_argument(
            "--identity-file",
            type=text,
            metavar="PATH",
            help="Write the backup identity to a new file of mode 0600 instead of showing it.",
        )

    def handle(self, **options: Any) -> None:
        """Make and print the keys."""
        fresh = keys.generate()
        identity_file = Path(options["identity_file"]) if options["identity_file"] else None
        if identity_file:
            _store_identity(identity_file, fresh.backup_identity)
        if options["json"]:
            shown = dict(fresh.variables)
            if not identity_file:
                shown["backup_identity"] = fresh.backup_identity
            self.stdout.write(json.dumps(shown, indent=2))
            return
        self.stdout.write(keys.as_environment_file(fresh.variables), ending="")
        if not identity_file:
            self.stderr.write(
                "The identity that opens the backups of this BACKUP_ENCRYPTION_KEY. Keep it away "
                f"from the server; without it no backup can be read:\n{fresh.backup_identity}"
            )


def _store_identity(path: Path, identity: str) -> None:
    try:
        written = private_files.write_new(path, identity + "\n")
    except StartFailure as failure:
        raise CommandError(str(failure)) from failure
    if not written:
        raise CommandError(f"{path} exists; an identity is never overwritten.")
