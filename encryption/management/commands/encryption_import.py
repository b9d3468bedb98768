"""Take over a column that django-cryptography wrote."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from encryption import services
from encryption.batches import ROWS_PER_BATCH
from encryption.management.base import EncryptionCommand, field_named
from garrison.management.arguments import number, text

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterable


class Command(EncryptionCommand):
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
        super().add_arguments(parser)
        parser.add_argument("field", type=text, help="The field, as app.Model.field.")
        parser.add_argument(
            "--key-variable",
            metavar="NAME",
            type=text,
            help="Environment variable with the key that was given to encrypt(key=…), if any.",
        )
        parser.add_argument(
            "--batch",
            type=number(1),
            default=ROWS_PER_BATCH,
            help="Rows per transaction (%(default)s).",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Count what is due, and change nothing."
        )

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        """Import one field."""
        field, variable = field_named(options["field"]), options["key_variable"]
        if variable and variable not in os.environ:
            raise CommandError(f"The environment variable {variable} is not set.")
        draw = self.progress(field.place, 0, options)
        due, tally = services.import_field(
            field=field,
            key=os.environ[variable].encode() if variable else None,
            rows_per_batch=options["batch"],
            is_dry_run=options["dry_run"],
            on_batch=draw,
        )
        draw(None)
        counts = {"due": due, "imported": tally.rewritten, "unreadable": tally.unreadable}
        return {"field": field.place, **counts}

    def lines(self, result: dict[str, Any]) -> Iterable[str]:
        """Print how many of how many."""
        yield f"{result['field']}: {result['imported']:,} of {result['due']:,} values imported."

    def problem(self, result: dict[str, Any]) -> str:
        """Fail where values could not be read."""
        count = result["unreadable"]
        return f"{count:,} values could not be read; see the log." if count else ""
