"""Sign the head of the audit chain now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.checkpoints.signing import from_row, signers, to_file
from audit.checkpoints.writing import declare_restored, write
from audit.errors import AuditKeysUnusable, CheckpointRefused
from audit.keys import EPOCH
from audit.management.arguments import instant, no_stream
from audit.models import EventSeal
from audit.sealing import reporting, sealer
from garrison.management.arguments import text

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from datetime import datetime

    from audit.models import Checkpoint


class Command(BaseCommand):
    """Write checkpoints by hand; the schedule does so every hour."""

    help = (
        "Seal what is new and sign the head of every stream; a copy goes to "
        "AUDIT_CHECKPOINT_STORAGE. Refused where the end of the chain does not verify."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--stream", type=text, help="Sign this stream only.")
        parser.add_argument(
            "--restored",
            action="store_true",
            help="A backup was restored: declare void what was signed after it was made.",
        )
        parser.add_argument(
            "--restored-at",
            type=instant,
            metavar="TIME",
            help="The same, where checkpoints were made since: the backup was restored at TIME.",
        )
        parser.add_argument(
            "--public-keys",
            action="store_true",
            help="Print the public keys that checkpoints are verified with, and write nothing.",
        )
        parser.add_argument("--json", action="store_true", help="Print the checkpoints as JSON.")

    def handle(self, **options: Any) -> None:
        """Sign, and say what was signed."""
        try:
            if options["public_keys"]:
                self._publish(is_json=options["json"])
            else:
                self._show(_written(options), is_json=options["json"])
        except AuditKeysUnusable as problem:
            raise CommandError(str(problem), returncode=2) from problem

    def _publish(self, *, is_json: bool) -> None:
        keys = signers().published()
        if is_json:
            self.stdout.write(json.dumps(keys))
            return
        for name, key in keys.items():
            self.stdout.write(f"{name.rpartition('.')[0]}:{key}")

    def _show(self, rows: list[Checkpoint], *, is_json: bool) -> None:
        if is_json:
            shown = [json.loads(to_file(from_row(row))) | {"copy": row.stored_as} for row in rows]
            self.stdout.write(json.dumps(shown, indent=2))
            return
        for row in rows:
            where = row.stored_as or "nowhere else: set up AUDIT_CHECKPOINT_STORAGE"
            self.stdout.write(f"Signed {row.stream!r} at number {row.seq:,}; copy: {where}.")


def _written(options: dict[str, Any]) -> list[Checkpoint]:
    # A backup may hold what no look from its own mark on would find: then from the beginning.
    is_after_restore = options["restored"] or options["restored_at"] is not None
    sealer.catch_up(now=timezone.now(), since=EPOCH if is_after_restore else None)
    known = EventSeal.objects.streams()
    if options["stream"] and options["stream"] not in known:
        raise CommandError(no_stream(options["stream"], known), returncode=2)
    streams = [options["stream"]] if options["stream"] else known
    at = options["restored_at"]
    return [_write(stream, is_after_restore=is_after_restore, at=at) for stream in streams]


def _write(stream: str, *, is_after_restore: bool, at: datetime | None) -> Checkpoint:
    try:
        if is_after_restore:
            declare_restored(stream=stream, now=timezone.now(), restored_at=at)
        return write(stream=stream, now=timezone.now())
    except CheckpointRefused as refusal:
        reporting.emit_broken(stream=stream, detail=refusal.detail)
        raise CommandError(refusal.detail) from refusal
