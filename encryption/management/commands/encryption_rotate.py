"""Bring every stored value to the active key, or retire a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import router

from encryption import blind_index, key_versions, services, shredding
from encryption.batches import ROWS_PER_BATCH
from encryption.keyring import keyring
from encryption.management.base import EncryptionCommand, field_named
from encryption.rotation import RotationPass, ToActiveKey, all_fields
from garrison.management.arguments import number, text

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterable

    from encryption.fields import Encrypted


class Command(EncryptionCommand):
    """Rotate while the site runs."""

    help = (
        "Encrypt every value that is under an older key anew, under the active one: the first of "
        "ENCRYPTION_KEYS. Runs while the site does, in batches; may be stopped or killed at any "
        "time, and goes on where it was. Also fills blind indexes that have gaps. Put the new key "
        "first on every server before you start. Exits with 1 where values could not be read."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        super().add_arguments(parser)
        parser.add_argument("--field", type=text, help="Only this field, as app.Model.field.")
        parser.add_argument(
            "--batch",
            type=number(1),
            default=ROWS_PER_BATCH,
            help="Rows per transaction (%(default)s).",
        )
        parser.add_argument(
            "--retire",
            type=text,
            metavar="KEY",
            help="Declare a key retired, if nothing needs it any more.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Count what is due, and change nothing."
        )
        parser.add_argument(
            "--progress", action="store_true", help="Draw the bar although this is no terminal."
        )

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        """Retire a key, or rotate."""
        if options["retire"]:
            version = services.retire_key(key_id=options["retire"])
            retired_at = f"{version.retired_at:%Y-%m-%dT%H:%M:%SZ}"
            return {"retired": version.key_id, "retired_at": retired_at}
        key_versions.adopt()
        fields = [field_named(options["field"])] if options["field"] else all_fields()
        result: dict[str, Any] = {"fields": [self._rotate(field, options) for field in fields]}
        if not options["dry_run"] and not options["field"]:
            indexed = sum(blind_index.fill(index) for index in blind_index.all_indexes())
            keys, files = shredding.rewrap(keyring()), services.rotate_files()
            result |= {"indexed": indexed, "subject_keys": keys.rewritten}
            result |= {"files": files.rewritten, "unreadable": keys.unreadable + files.unreadable}
        return result

    def _rotate(self, field: Encrypted[Any, Any], options: dict[str, Any]) -> dict[str, Any]:
        using = router.db_for_write(field.model)
        due = RotationPass(field, ToActiveKey(), using).due().count()
        row = {"field": field.place, "due": due, "rotated": 0, "unreadable": 0}
        if options["dry_run"]:
            return row
        draw = self.progress(field.place, due, options)
        tally = services.rotate_field(field=field, rows_per_batch=options["batch"], on_batch=draw)
        draw(None)
        return {**row, "rotated": tally.rewritten, "unreadable": tally.unreadable}

    def lines(self, result: dict[str, Any]) -> Iterable[str]:
        """Print a line for each field, or what to do with a retired key."""
        if "retired" in result:
            key_id = result["retired"]
            yield f"Nothing needs key {key_id!r} any more. Remove it from ENCRYPTION_KEYS."
        for row in result.get("fields", ()):
            yield (
                f"{row['field']}: {row['rotated']:,} of {row['due']:,} rotated, "
                f"{row['unreadable']:,} unreadable."
            )

    def problem(self, result: dict[str, Any]) -> str:
        """Fail where values could not be read."""
        if any(row.get("unreadable") for row in (result, *result.get("fields", ()))):
            return "Some values could not be read; the log and the events name them."
        return ""
