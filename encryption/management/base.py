"""What the commands of encryption share: one way to print, to fail, and to show progress."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder

from encryption.errors import KeyringUnusable
from encryption.rotation import all_fields
from garrison.errors import Refusal

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Iterable

    from encryption.failures import Tally
    from encryption.fields import Encrypted

BAR_WIDTH = 30
SECONDS_BETWEEN_BARS = 0.1


class EncryptionCommand(BaseCommand):
    """Prints a result as lines or as JSON; a refusal is one sentence, and exit code 1."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what all of them take."""
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, **options: Any) -> None:
        """Act, print, then judge."""
        try:
            result = self.act(options)
        except (Refusal, KeyringUnusable) as refusal:
            raise CommandError(str(refusal)) from None
        if options["json"]:
            self.stdout.write(json.dumps(result, cls=DjangoJSONEncoder))
        else:
            for line in self.lines(result):
                self.stdout.write(line)
        if problem := self.problem(result):
            raise CommandError(problem)

    @abstractmethod
    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        """Do what the command is for, and return what ``--json`` prints."""

    @abstractmethod
    def lines(self, result: dict[str, Any]) -> Iterable[str]:
        """Return the result as lines for people."""

    def problem(self, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Return a sentence where the result means exit code 1."""
        return ""

    def progress(
        self, label: str, total: int, options: dict[str, Any]
    ) -> Callable[[Tally | None], None]:
        """Return what draws ``label [###   ] 50% 500/1,000 …`` over itself; ``None`` ends the line.

        At most ten times a second, and on terminals only, unless ``--progress`` says otherwise.
        """
        is_on = not options["json"] and (options.get("progress") or self.stderr.isatty())
        started, drawn_at = time.monotonic(), 0.0

        def draw(tally: Tally | None) -> None:
            nonlocal drawn_at
            done, now = tally.rewritten if tally else 0, time.monotonic()
            if is_on and tally is None:
                self.stderr.write("")
            elif is_on and (now - drawn_at >= SECONDS_BETWEEN_BARS or done >= total):
                drawn_at = now
                self.stderr.write(_bar(label, done, total, now - started), ending="")
                self.stderr.flush()

        return draw


def _bar(label: str, done: int, total: int, seconds: float) -> str:
    share = min(1.0, done / total) if total else 1.0
    rate = done / max(seconds, 0.001)
    left = (total - done) / rate if rate and done < total else 0
    bar = "#" * round(BAR_WIDTH * share)
    return (
        f"\r{label} [{bar:<{BAR_WIDTH}}] {share:4.0%} {done:,}/{total:,} · "
        f"{rate:,.0f}/s · {left:,.0f} s left "
    )


def field_named(name: str) -> Encrypted[Any, Any]:
    """Return the encrypted field that somebody wrote as ``app.Model.field``."""
    fields = {field.place.lower(): field for field in all_fields()}
    if name.lower() in fields:
        return fields[name.lower()]
    known = ", ".join(field.place for field in fields.values()) or "none"
    raise CommandError(
        f"{name!r} is no encrypted field; write Encrypted(...) in the model first. There are: "
        f"{known}."
    )
