"""Verify the audit log: name what was changed, removed, added or moved."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.checkpoints import copies
from audit.checkpoints.copies import Copies
from audit.errors import AuditKeysUnusable, CheckpointRefused
from audit.management.arguments import instant, no_stream
from audit.models import EventSeal
from audit.verification import verify
from audit.verification.report import Verdict
from garrison.management.arguments import text

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from audit.verification.report import Report

USAGE = 2  # the exit code of a question that cannot be asked
EXIT_CODES = {Verdict.WHOLE: 0, Verdict.BROKEN: 1, Verdict.INDETERMINATE: 3}


class Command(BaseCommand):
    """Return whether the evidence is what was sealed."""

    help = (
        "Verify every seal of the audit log and compare it with the signed checkpoints. Names what "
        "was edited, removed, inserted, moved or cut off; repairs nothing. Exit code 0: whole; 1: "
        "broken; 2: it could not be asked; 3: indeterminate, because there is nothing outside the "
        "database to compare with, or events wait for their seal."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--checkpoint",
            metavar="PATH",
            type=text,
            action="append",
            default=[],
            help="Also compare with this checkpoint, or all in this folder; may be repeated. "
            "Without it, those in AUDIT_CHECKPOINT_STORAGE are used.",
        )
        parser.add_argument("--stream", type=text, help="Verify this stream only.")
        parser.add_argument(
            "--since",
            metavar="TIME",
            type=text,
            help="Begin with what was sealed at this time (ISO 8601); the rest is believed.",
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, **options: Any) -> None:
        """Verify, print, and exit with 1 where something is wrong, 3 where it is indeterminate."""
        known = EventSeal.objects.streams()
        if options["stream"] and options["stream"] not in known:
            raise CommandError(no_stream(options["stream"], known), returncode=USAGE)
        try:
            question = verify.Question(
                now=timezone.now(),
                stream=options["stream"],
                since=instant(options["since"]) if options["since"] else None,
                copies=_copies(options["checkpoint"]),
            )
            report = verify.verify_for_the_record(
                question, progress=self._progress(question, options)
            )
        except (AuditKeysUnusable, CheckpointRefused) as problem:
            raise CommandError(str(problem), returncode=USAGE) from problem
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), indent=2))
        else:
            self._print(report)
        if code := EXIT_CODES[report.verdict]:
            sys.exit(code)

    def _progress(self, question: verify.Question, options: dict[str, Any]) -> Any:
        if options["json"] or not self.stderr.isatty():
            return lambda _done: None
        whole, began = verify.total(question), time.monotonic()

        def show(done: int) -> None:
            rate = done / max(time.monotonic() - began, 0.001)
            share = min(100, 100 * done // max(whole, 1))
            self.stderr.write(f"\r{share:3} % {done:,} of {whole:,}, {rate:,.0f}/s ", ending="")
            self.stderr.flush()

        return show

    def _print(self, report: Report) -> None:
        if self.stderr.isatty():
            self.stderr.write("")
        self.stdout.write(report.summary())
        for violation in report.violations:
            self.stdout.write(f"  {violation.code}: {violation.detail}")
        undescribed = sum(report.counts.values()) - len(report.violations)
        if undescribed:
            self.stdout.write(f"  and {undescribed:,} more of the same kinds.")
        for doubt in report.doubts:
            self.stdout.write(f"  doubt: {doubt}")
        for remark in report.remarks:
            self.stdout.write(f"  remark: {remark}")
        if not report.is_complete:
            self.stdout.write("Only a part was asked about.")
        if report.verdict is Verdict.BROKEN:
            self.stdout.write(
                "Keep this database as it is, and make a copy. What to do: docs/audit.md, 'When it "
                "does not verify'."
            )


def _copies(paths: list[str]) -> Copies:
    if paths:
        return Copies([signed for path in paths for signed in copies.from_path(path)])
    return copies.stored()
