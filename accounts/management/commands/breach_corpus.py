"""``manage.py breach_corpus``: install or look at the offline list of breached passwords."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from accounts.errors import CorpusMalformed
from accounts.password.breaches import corpus
from garrison.management.arguments import text

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(BaseCommand):
    """Install the corpus, or report on it."""

    help = (
        "Install the offline list of breached passwords (the official text of Pwned Passwords, "
        "SHA1:COUNT sorted by hash), or report on it. Exits with 1 where none is installed or the "
        "file is refused; what was installed before stays then."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the two actions, and the file that one of them needs."""
        parser.add_argument(
            "action", choices=("install", "status"), help="Put a file in place, or report on it."
        )
        parser.add_argument("file", nargs="?", type=text, help="The sorted text to install.")
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Call the corpus and report."""
        is_install, lines = options["action"] == "install", None
        if is_install != bool(options["file"]):
            raise CommandError("`install` takes a file, and `status` takes none.")
        try:
            if is_install:
                lines = corpus.install(Path(options["file"]), report=self._report)
            found = corpus.status()
        except CorpusMalformed as failure:
            raise CommandError(f"{failure}") from None
        except OSError as failure:
            raise CommandError(f"{failure.filename} cannot be used ({failure.strerror}).") from None
        if found is None:
            raise CommandError("No corpus is installed; ACCOUNTS_BREACH_CORPUS says where it goes.")
        result = {"path": found.path, "bytes": found.size_bytes}
        result |= {"installed_at": found.installed_at.isoformat()}
        result |= {"lines": lines} if lines is not None else {}
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            self.stdout.write("\n".join(f"{name}: {value}" for name, value in result.items()))

    def _report(self, lines: int) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"{lines:,} lines checked", ending="\r")
