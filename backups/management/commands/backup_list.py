"""List the backups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from backups import opening, targets
from backups.management.commands._base import BackupCommand, human
from backups.models import Backup
from backups.services import indexing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.management.base import CommandParser

SHOWN = 100


class Command(BackupCommand):
    """Lists backups from the index, or from the targets themselves."""

    help = (
        "List the backups, newest first: state, age, size, where, verified, drilled. "
        "--on-targets asks the targets instead of the index, and needs neither database nor key. "
        "--rebuild makes the index say what the targets hold (needs the identity)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add where to look."""
        super().add_arguments(parser)
        parser.add_argument("--all", action="store_true", help="Also failed and pruned ones.")
        parser.add_argument("--on-targets", action="store_true", help="List the targets' folders.")
        parser.add_argument("--rebuild", action="store_true", help="Rebuild the index first.")

    def run(self, **options: Any) -> None:
        """List them."""
        if options["on_targets"]:
            return self._list_targets()
        if options["rebuild"]:
            indexing.rebuild(now=timezone.now())
        rows = Backup.objects.prefetch_related("copies")
        chosen = rows if options["all"] else rows.filter(state="good")
        found = [_fields(backup) for backup in chosen[:SHOWN]]
        self.report("\n".join(_lines(found)) or "There is no backup.", backups=found)
        return None

    def _list_targets(self) -> None:
        found = {}
        for target in targets.targets():
            found[target.alias] = [
                folder for folder in opening.folders(target) if opening.is_whole(target, folder)
            ]
        lines = [f"{alias}: {folder}" for alias, folders in found.items() for folder in folders]
        self.report("\n".join(lines) or "The targets hold no backup.", targets=found)


def _fields(backup: Backup) -> dict[str, Any]:
    return {
        "id": backup.pk,
        "folder": backup.folder,
        "state": backup.state,
        "kind": backup.kind,
        "content": backup.content,
        "snapshot_at": backup.snapshot_at,
        "raw_bytes": backup.raw_bytes,
        "sent_bytes": backup.size_bytes,
        "seconds": backup.seconds,
        "recipients": backup.recipients,
        "verified_at": backup.verified_at,
        "drilled_at": backup.drilled_at,
        "damage": backup.damage,
        "indeterminate": backup.indeterminate,
        "failure": backup.failure,
        "copies": {copy.target: copy.state for copy in backup.copies.all()},
    }


def _lines(found: list[dict[str, Any]]) -> Iterator[str]:
    for row in found:
        marks = [name for name in ("verified", "drilled") if row[f"{name}_at"]]
        marks += ["DAMAGED"] if row["damage"] else []
        marks += ["INDETERMINATE"] if row["indeterminate"] else []
        copies = ", ".join(f"{target}: {state}" for target, state in row["copies"].items())
        name = row["folder"] or row["id"]
        yield (
            f"{name}  {row['state']}  {row['content']}  {human(row['raw_bytes'])}  {copies}"
            f"  {' '.join(marks)}  {row['failure']}".rstrip()
        )
