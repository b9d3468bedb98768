"""Destroy the key of a person, and with it every value encrypted under it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from encryption import services
from encryption.management.base import EncryptionCommand
from encryption.models import SubjectKey
from garrison.management.arguments import text

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterable


class Command(EncryptionCommand):
    """Erase one person."""

    help = (
        "Destroy a person's key, so that everything encrypted for them is unreadable for ever, in "
        "every copy and backup. There is no way back. Run it again after restoring a backup of "
        "the key storage, should there be one. Values in the person's rows that are under another "
        "key (SQL of your own, an earlier release) are brought under this one first. Exits with 1 "
        "where the person has no key."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        super().add_arguments(parser)
        parser.add_argument(
            "subject", type=text, help="Whose key, as app.model:id, such as accounts.user:42."
        )
        parser.add_argument(
            "--sweep",
            action="store_true",
            help="Open every key in the storage, and destroy those made for this person that the "
            "database does not name, too.",
        )
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        parser.add_argument(
            "--dry-run", action="store_true", help="Only report what would be done."
        )

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        """Ask, then erase."""
        subject, erased = options["subject"], 0
        count = SubjectKey.objects.filter(subject=subject).count()
        if not (options["yes"] or options["dry_run"]):
            more = ", and those that the sweep finds" if options["sweep"] else ""
            self.stdout.write(
                f"This destroys {count} key(s) of {subject}{more}. There is no way back."
            )
            if input(f"Type {subject} to go on: ") != subject:
                raise CommandError("Nothing was erased.")
        if not options["dry_run"]:
            erased = services.erase_subject(subject=subject, is_sweep=options["sweep"])
        return {"subject": subject, "keys": max(count, erased), "erased": erased}

    def lines(self, result: dict[str, Any]) -> Iterable[str]:
        """Print how many of how many."""
        yield f"{result['subject']}: {result['erased']} of {result['keys']} keys erased."
