"""Bring every stored value to the active key, or retire a key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import router

from encryption import key_versions, services
from encryption.errors import KeyringUnusable
from encryption.management.progress import Bar
from encryption.rotation import ROWS_PER_BATCH, Run, ToActiveKey, all_fields
from garrison.errors import Refusal

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from encryption.fields import Encrypted


class Command(BaseCommand):
    """Rotate while the site runs."""

    help = (
        "Encrypt every value that is under an older key anew, under the active one: the first of "
        "ENCRYPTION_KEYS. Runs while the site does, in batches; may be stopped or killed at any "
        "time, and goes on where it was. Also fills blind indexes that have gaps. Put the new key "
        "first on every server before you start. Exits with 1 where values could not be read."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--field", help="Only this field, as app.Model.field.")
        parser.add_argument(
            "--batch", type=int, default=ROWS_PER_BATCH, help="Rows per transaction (%(default)s)."
        )
        parser.add_argument(
            "--retire", metavar="KEY", help="Declare a key retired, if nothing needs it any more."
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Count what is due, and change nothing."
        )
        parser.add_argument(
            "--progress", action="store_true", help="Draw the bar although this is no terminal."
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, **options: Any) -> None:
        """Do one or the other."""
        if options["batch"] < 1:
            raise CommandError("--batch must be at least 1.")
        try:
            result = self._retire(options) if options["retire"] else self._rotate(options)
        except (Refusal, KeyringUnusable) as refusal:
            raise CommandError(str(refusal)) from None
        if options["json"]:
            self.stdout.write(json.dumps(result))
        if any(row.get("unreadable") for row in (result, *result.get("fields", ()))):
            raise CommandError("Some values could not be read; the log and the events name them.")

    def _retire(self, options: dict[str, Any]) -> dict[str, Any]:
        version = services.retire_key(key_id=options["retire"])
        if not options["json"]:
            self.stdout.write(
                f"Nothing needs key {version.key_id!r} any more. Remove it from ENCRYPTION_KEYS."
            )
        return {"retired": version.key_id, "retired_at": f"{version.retired_at:%Y-%m-%dT%H:%M:%SZ}"}

    def _rotate(self, options: dict[str, Any]) -> dict[str, Any]:
        key_versions.adopt()
        rows = [self._one(field, options) for field in _chosen(options["field"])]
        result: dict[str, Any] = {"fields": rows}
        if not options["dry_run"] and not options["field"]:
            result["indexed"] = services.fill_indexes()
            keys, files = services.rotate_subject_keys(), services.rotate_files()
            result |= {"subject_keys": keys.rewritten, "files": files.rewritten}
            result["unreadable"] = keys.unreadable + files.unreadable
        if not options["json"]:
            for row in rows:
                self.stdout.write(
                    f"{row['field']}: {row['rotated']:,} of {row['due']:,} rotated, "
                    f"{row['unreadable']:,} unreadable."
                )
        return result

    def _one(self, field: Encrypted[Any, Any], options: dict[str, Any]) -> dict[str, Any]:
        using = router.db_for_write(field.model)
        due = Run(field, ToActiveKey(), using).remaining()
        row = {"field": field.place, "due": due, "rotated": 0, "unreadable": 0}
        if options["dry_run"]:
            return row
        is_on = not options["json"] and (options["progress"] or self.stderr.isatty())
        bar = Bar(self.stderr, field.place, due, is_on)
        tally = services.rotate_field(
            field=field,
            rows_per_batch=options["batch"],
            on_batch=lambda tally: bar.show(tally.rewritten),
        )
        bar.end()
        return {**row, "rotated": tally.rewritten, "unreadable": tally.unreadable}


def _chosen(name: str | None) -> list[Encrypted[Any, Any]]:
    fields = list(all_fields())
    if not name:
        return fields
    chosen = [field for field in fields if field.place.lower() == name.lower()]
    if not chosen:
        known = ", ".join(field.place for field in fields) or "none"
        raise CommandError(f"{name!r} is no encrypted field. There are: {known}.")
    return chosen
