"""Restore a backup."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from backups import services
from backups.management.commands._base import BackupCommand, human
from backups.models.backup import Content
from backups.services import rescuing
from backups.times import duration
from garrison.management.arguments import text

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from backups.opening import OpenedBackup


class Command(BackupCommand):
    """Shows what it would do; does it only with ``--yes``."""

    help = (
        "Restore the database, the files, or both from a backup: all or nothing, of several "
        "databases each for itself. Prints the plan and stops; --yes carries it out. A database "
        "that holds data is replaced only when its name is typed (--confirm-database NAME), after "
        "a safety backup of it. With --table the rows of one table are brought into a side schema, "
        "with --file one file, or the files of one folder, into a new folder (--into), and nothing "
        "else is changed. "
        "docs/restore.md is the page for 3 a.m."
    )

    takes = ("folder", "--target", "--identity")

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what, from where, and the confirmations."""
        super().add_arguments(parser)
        part = parser.add_mutually_exclusive_group()
        part.add_argument("--only", choices=["database", "files"], help="Restore only this.")
        part.add_argument(
            "--database",
            type=text,
            metavar="ALIAS",
            help="Of several databases only this one, and no files; also where --table is.",
        )
        parser.add_argument("--yes", action="store_true", help="Carry the plan out.")
        parser.add_argument(
            "--confirm-database",
            action="append",
            default=[],
            metavar="NAME",
            help="Type the database's name; once for each that is replaced.",
        )
        parser.add_argument(
            "--no-safety-backup",
            action="store_true",
            help="Do not back up what is replaced: for a database that cannot be read any more.",
        )
        parser.add_argument(
            "--table", type=text, help="Bring only this table's rows, into a side schema."
        )
        parser.add_argument("--into-schema", type=text, default="rescue", help="The side schema.")
        parser.add_argument(
            "--file", type=text, help="Bring only this file or folder: PATH or STORAGE:PATH."
        )
        parser.add_argument("--into", type=text, default="rescue", help="The new folder for it.")

    def run(self, **options: Any) -> None:
        """Plan, print, and go on only with ``--yes``."""
        wanted = "database" if options["table"] else "files" if options["file"] else None
        opened = services.find(
            folder=options["folder"],
            target=options["target"],
            identity_file=options["identity"],
            content=wanted or options["only"] or Content.ALL,
        )
        if wanted:
            bring = self._bring_table if options["table"] else self._bring_files
            return bring(opened, options)
        plan = services.plan(
            opened,
            content=options["only"] or Content.ALL,
            database=options["database"],
            safety=not options["no_safety_backup"],
        )
        lines = [_age(opened)]
        lines += [f"{number}. {line}" for number, line in enumerate(plan.lines, 1)]
        if not options["yes"]:
            lines.append(_how_to_go_on(plan))
            self.report("\n".join(lines), plan=plan.lines, done=False)
            return None
        if not self.as_json:
            self.stdout.write("\n".join(lines))
        return self._restore(plan, options)

    def _restore(self, plan: Any, options: dict[str, Any]) -> None:
        done = services.restore(
            plan,
            confirm=options["confirm_database"],
            now=timezone.now(),
            on_step=self.progress,
        )
        lines = [f"Restored {done.rows} rows and {done.files} files."]
        if done.safety_backup:
            lines.append(f"What was there before is in backup {done.safety_backup}.")
        lines += [f"The files from before are in {place}." for place in done.kept_files]
        for alias, waiting in done.unapplied.items():
            command = "migrate" + f" --database {alias}" * (alias != DEFAULT_DB_ALIAS)
            lines.append(
                f"Now run `manage.py {command}`, for {len(waiting)} migrations wait, and then "
                "`manage.py backup_list --rebuild`."
            )
        self.report(
            "\n".join(lines),
            plan=plan.lines,
            done=True,
            rows=done.rows,
            files=done.files,
            safety_backup=done.safety_backup,
            files_before=done.kept_files,
            unapplied_migrations=done.unapplied,
        )

    def _bring_table(self, opened: OpenedBackup, options: dict[str, Any]) -> None:
        table, schema = options["table"], options["into_schema"]
        what = {"table": table, "schema": schema, "database": options["database"]}
        rescuing.require_bringable(opened, **what)
        if self._is_confirmed(f"bring {table} from {opened.folder} into schema {schema}", options):
            rows = services.bring_table(opened, **what, now=timezone.now())
            told = f"Brought {rows} rows of {table} into schema {schema}."
            self.report(told, done=True, rows=rows, schema=schema)

    def _bring_files(self, opened: OpenedBackup, options: dict[str, Any]) -> None:
        entries, into = services.find_files(opened, options["file"]), Path(options["into"])
        size = human(sum(entry.sealed.raw_size for entry in entries))
        what = f"{len(entries)} files ({size}) from {opened.folder} into the new folder {into}"
        if self._is_confirmed(f"bring {what}", options):
            services.bring_files(opened, entries, into=into)
            self.report(f"Brought {what}.", done=True, files=len(entries), into=str(into))

    def _is_confirmed(self, what: str, options: dict[str, Any]) -> bool:
        if not options["yes"]:
            self.report(f"Would {what}.\nAdd --yes to do it.", plan=[f"Would {what}."], done=False)
        return bool(options["yes"])


def _age(opened: OpenedBackup) -> str:
    """Report first what is most easily overlooked: how much of the recent past would be lost."""
    age = timezone.now() - datetime.fromisoformat(opened.manifest.snapshot_at)
    return f"This backup is {duration(age.total_seconds())} old."


def _how_to_go_on(plan: Any) -> str:
    confirmed = [f" --confirm-database {name}" for name in plan.to_confirm]
    return f"To carry it out, add: --yes{''.join(confirmed)}"
