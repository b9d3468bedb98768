"""``manage.py generate_keys``: a fresh value for every key that the installed apps declare."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from garrison.conf import fresh_keys

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Print fresh keys and change nothing; whatever is wrong with the present ones."""

    help = (
        "Print a fresh value for every key that the installed apps use, as lines of a .env file: "
        "the name of the setting, and its value, with commas between the entries of a list. "
        "Nothing is stored: what is printed is the only copy."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the option."""
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, **options: Any) -> None:
        """Make and print the keys."""
        fresh = fresh_keys()
        if options["json"]:
            self.stdout.write(json.dumps(fresh, indent=2))
        for name, value in () if options["json"] else fresh.items():
            self.stdout.write(f"{name}={value}")
