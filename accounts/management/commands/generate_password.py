"""``manage.py generate_password``: print a password drawn by chance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from accounts.password.generator import KINDS, LONGEST, RANDOM, SHORTEST, generate
from garrison.management.arguments import number

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    """Print a new password; nothing is stored."""

    help = "Print a password drawn by chance, which the policy accepts; nothing is stored."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare kind and length."""
        parser.add_argument(
            "--kind", choices=KINDS, default=RANDOM, help="Draw characters, or six words."
        )
        parser.add_argument(
            "--length",
            type=number(SHORTEST, LONGEST),
            default=SHORTEST,
            help=f"Draw so many characters, {SHORTEST} to {LONGEST}; words until there are.",
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Draw and print."""
        password = generate(kind=options["kind"], length=options["length"])
        self.stdout.write(json.dumps({"password": password}) if options["json"] else password)
