"""Show, for every encrypted field, how many values are under which key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from encryption import services
from encryption.key_versions import mismatched_ids
from encryption.keyring import keyring
from encryption.management.base import EncryptionCommand
from encryption.models import KeyVersion
from encryption.rotation import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterable


class Command(EncryptionCommand):
    """Look at the keys and what is under them."""

    help = (
        "Show every key with its age, and for every encrypted field how many values each key "
        "holds, the oldest key in use, and how far a rotation has come. Reads each table once. "
        "Exits with 1 where values are under a key that is not in the keyring, or where a key is "
        "not the one this database was written with."
    )

    def act(self, options: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Read every table once."""
        fields, keys = services.status(), list(KeyVersion.objects.values())
        return {"active": keyring().active.id, "keys": keys, "fields": fields}

    def lines(self, result: dict[str, Any]) -> Iterable[str]:
        """Print a line for each key, and one for each field."""
        for key in result["keys"]:
            state = "active" if key["key_id"] == result["active"] else "reads only"
            state = "retired" if key["retired_at"] else state
            yield f"{key['key_id']:<12} {state:<10} since {key['first_seen_at']:%Y-%m-%d}"
        for field in result["fields"]:
            held = ", ".join(f"{key}: {count:,}" for key, count in sorted(field["rows"].items()))
            yield f"{field['field']}: {held or 'no values'}; {field['due']:,} due"

    def problem(self, result: dict[str, Any]) -> str:
        """Fail where values are under a key that is missing, or a key is not the one known."""
        ring = keyring()
        missing = [
            f"{field['field']} has {count:,} values under {key!r}, which is not in the keyring."
            for field in result["fields"]
            for key, count in field["rows"].items()
            if key not in ring.by_id and key != SUBJECTS
        ]
        wrong = [
            f"Key {key!r} is not the one this database was written with."
            for key in mismatched_ids(ring)
        ]
        return " ".join([*missing, *wrong])
