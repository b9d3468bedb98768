"""Show, for every encrypted field, how many values are under which key."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder

from encryption import services
from encryption.errors import KeyringUnusable
from encryption.key_versions import impostors
from encryption.keyring import keyring
from encryption.models import KeyVersion

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Look at the keys and what is under them."""

    help = (
        "Show every key with its age, and for every encrypted field how many values each key "
        "holds, the oldest key in use, and how far a rotation has come. Reads each table once. "
        "Exits with 1 where values are under a key that is not in the keyring, or where a key is "
        "not the one this database was written with."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, **options: Any) -> None:
        """Print, then judge."""
        try:
            ring, fields = keyring(), services.status()
        except KeyringUnusable as problem:
            raise CommandError(str(problem)) from None
        keys: list[Any] = list(KeyVersion.objects.values())
        result = {
            "active": ring.active.id,
            "keys": keys,
            "fields": [asdict(field) for field in fields],
        }
        if options["json"]:
            self.stdout.write(json.dumps(result, cls=DjangoJSONEncoder))
        else:
            self._print(ring.active.id, keys, fields)
        if problems := [*_missing(ring.keys, fields), *_wrong(impostors(ring))]:
            raise CommandError(" ".join(problems))

    def _print(self, active: str, keys: list[dict[str, Any]], fields: list[Any]) -> None:
        for key in keys:
            state = "active" if key["key_id"] == active else "reads only"
            state = "retired" if key["retired_at"] else state
            self.stdout.write(
                f"{key['key_id']:<12} {state:<10} since {key['first_seen_at']:%Y-%m-%d}"
            )
        for field in fields:
            held = ", ".join(f"{key}: {count:,}" for key, count in sorted(field.rows.items()))
            self.stdout.write(f"{field.field}: {held or 'no values'}; {field.due:,} due")


def _missing(known: Any, fields: list[Any]) -> list[str]:
    return [
        f"{field.field} has {count:,} values under {key!r}, which is not in the keyring."
        for field in fields
        for key, count in field.rows.items()
        if key not in known and key != "(subject keys)"
    ]


def _wrong(ids: list[str]) -> list[str]:
    return [f"Key {key!r} is not the one this database was written with." for key in ids]
