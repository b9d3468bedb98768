"""List the backups."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from backups import opening, services, targets
from backups.databases import MAIN
from backups.management.commands._base import BackupCommand, counted, fields_of, human
from backups.models import Backup
from backups.services import indexing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.management.base import CommandParser

    from backups.files import Entry
    from backups.opening import OpenedBackup

SHOWN = 100


class Command(BackupCommand):
    """Lists backups from the index, or from the targets themselves."""

    help = (
        "List the backups, newest first: state, age, size, where, verified, drilled. With the "
        "folder of one: what it holds, each table and each file (needs the identity). "
        "--on-targets asks the targets instead of the index, and needs neither database nor key. "
        "--rebuild makes the index say what the targets hold (needs the identity)."
    )

    takes = ("folder", "--target", "--identity")

    def add_arguments(self, parser: CommandParser) -> None:
        """Add where to look."""
        super().add_arguments(parser)
        parser.add_argument("--all", action="store_true", help="Also failed and pruned ones.")
        parser.add_argument("--on-targets", action="store_true", help="List the targets' folders.")
        parser.add_argument("--rebuild", action="store_true", help="Rebuild the index first.")

    def run(self, **options: Any) -> None:
        """List them."""
        of_one = {key: options[key] for key in ("folder", "target")}
        of_one["identity_file"] = options["identity"]
        if any(of_one.values()):
            return self._list_one(services.find(**of_one))
        if options["on_targets"]:
            return self._list_targets()
        if options["rebuild"]:
            indexing.rebuild(now=timezone.now())
        rows = Backup.objects.prefetch_related("copies")
        chosen = rows if options["all"] else rows.filter(state="good")
        found = [fields_of(backup) for backup in chosen[:SHOWN]]
        self.report("\n".join(_lines(found)) or "There is no backup.", backups=found)
        return None

    def _list_one(self, opened: OpenedBackup) -> None:
        """List tables, files, and what was skipped; the list is proven whole by its end alone."""
        state, tables = opened.manifest.files, dict[str, int]()
        for part, database in opened.manifest.databases.items():
            where = "" if part == MAIN else f"{database.alias}:"
            tables |= {f"{where}{each.name}": each.rows for each in database.tables}
        found = []
        for name, rows in {} if self.as_json else tables.items():
            self.stdout.write(f"table  {name}  {rows} rows")

        def take(entry: Entry) -> None:
            shown = _of_file(entry)
            if self.as_json:
                found.append(shown)
            else:
                self.stdout.write("  ".join(("file", *map(str, shown.values()))))

        if state:
            opened.each_file(take)
        skipped = state.skipped_files if state else []
        lines = [f"{'  '.join(each)}  NOT IN THE BACKUP" for each in skipped]
        counts = state.skipped if state else {}
        lines.append(
            f"{opened.folder}: {len(tables)} tables, {state.count if state else 0} files; "
            f"skipped: {counted(counts)}."
        )
        self.report(
            "\n".join(lines),
            folder=opened.folder,
            snapshot_at=opened.manifest.snapshot_at,
            tables=tables,
            files=found,
            skipped=counts,
            skipped_files=skipped,
        )

    def _list_targets(self) -> None:
        found = {}
        for target in targets.targets():
            found[target.alias] = [
                folder for folder in opening.folders(target) if opening.is_whole(target, folder)
            ]
        lines = [f"{alias}: {folder}" for alias, folders in found.items() for folder in folders]
        self.report("\n".join(lines) or "The targets hold no backup.", targets=found)


def _of_file(entry: Entry) -> dict[str, Any]:
    mode, ns = entry.mode, entry.modified_ns
    at = None if ns is None else datetime.fromtimestamp(ns // 10**9, UTC)
    return {
        "storage": entry.storage,
        "mode": "-" if mode is None else f"{mode:03o}",
        "modified_at": "-" if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "size": entry.sealed.raw_size,
        "path": entry.shown_path,
    }


def _lines(found: list[dict[str, Any]]) -> Iterator[str]:
    for row in found:
        marks = [name for name in ("verified", "drilled") if row[f"{name}_at"]]
        marks += ["DAMAGED"] if row["damage"] else []
        marks += [f"skipped: {counted(row['skipped'])}"] if row["skipped"] else []
        marks += ["INDETERMINATE"] if row["indeterminate"] else []
        copies = ", ".join(f"{target}: {state}" for target, state in row["copies"].items())
        name = row["folder"] or row["id"]
        more = [part.removeprefix(MAIN) for part in row["parts"] if part.startswith(f"{MAIN}.")]
        content = "+".join((row["content"], *(part.removeprefix(".") for part in more)))
        yield (
            f"{name}  {row['state']}  {content}  {human(row['raw_bytes'])}  {copies}"
            f"  {' '.join(marks)}  {row['failure']}".rstrip()
        )
