"""Take over a column that django-cryptography wrote."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from encryption import services
from encryption.errors import KeyringUnusable
from encryption.management.progress import Bar
from encryption.rotation import ROWS_PER_BATCH, all_fields
from garrison.errors import Refusal

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Import in place."""

    help = (
        "Encrypt anew what django-cryptography's encrypt() wrote into a column. First change the "
        "model's field to Encrypted(...) and migrate (the column stays as it is), then run this. "
        "SECRET_KEY, CRYPTOGRAPHY_KEY and CRYPTOGRAPHY_SALT must still be what they were. May be "
        "stopped and run again. Needs django-garrison[import]. Exits with 1 where values could "
        "not be read."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("field", help="The field, as app.Model.field.")
        parser.add_argument(
            "--key-variable",
            metavar="NAME",
            help="Environment variable with the key that was given to encrypt(key=…), if any.",
        )
        parser.add_argument(
            "--batch", type=int, default=ROWS_PER_BATCH, help="Rows per transaction (%(default)s)."
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Count what is due, and change nothing."
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, **options: Any) -> None:
        """Import one field."""
        fields = {field.place.lower(): field for field in all_fields()}
        field = fields.get(options["field"].lower())
        if field is None:
            raise CommandError(
                f"{options['field']!r} is no encrypted field. Change the model's field to "
                "Encrypted(...) first."
            )
        variable = options["key_variable"]
        if variable and variable not in os.environ:
            raise CommandError(f"The environment variable {variable} is not set.")
        is_on = not options["json"] and self.stderr.isatty()
        bar = Bar(self.stderr, field.place, 0, is_on)
        try:
            due, tally = services.import_field(
                field=field,
                key=os.environ[variable].encode() if variable else None,
                rows_per_batch=options["batch"],
                is_dry_run=options["dry_run"],
                on_batch=lambda tally: bar.show(tally.rewritten),
            )
        except (Refusal, KeyringUnusable) as refusal:
            raise CommandError(str(refusal)) from None
        bar.end()
        result = {
            "field": field.place,
            "due": due,
            "imported": tally.rewritten,
            "unreadable": tally.unreadable,
        }
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            self.stdout.write(f"{field.place}: {tally.rewritten:,} of {due:,} values imported.")
        if tally.unreadable:
            raise CommandError(f"{tally.unreadable:,} values could not be read; see the log.")
