"""Make an age identity, or put older manifests under the present keys."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from backups import events, keys, services, signing
from backups.management.commands._base import BackupCommand
from garrison.events import emit
from garrison.management.arguments import text


class Command(BackupCommand):
    """Generates keys; writes the secret half to a new file of mode 0600, never to the screen."""

    help = (
        "Make a new age identity, on the machine where restores run: the secret goes into a new "
        "file (mode 0600), the public recipient is printed, to be added to BACKUP_ENCRYPTION_KEY. "
        "--reseal-manifests encrypts the manifests of all backups to the present recipients, so "
        "that a new key can list and check them. --signer prints this site's signing key, to be "
        "kept beside the identity."
    )

    takes = ("--identity",)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add where to write."""
        super().add_arguments(parser)
        parser.add_argument(
            "--output", type=text, help="Path of the new identity file; it must not exist."
        )
        parser.add_argument("--reseal-manifests", action="store_true", help="After a rotation.")
        parser.add_argument(
            "--signer", action="store_true", help="Print the signing key's public half."
        )

    def run(self, **options: Any) -> None:
        """Do the one thing that was asked for."""
        if options["signer"]:
            self.report(signing.signer(), signer=signing.signer())
        elif options["reseal_manifests"]:
            self._reseal(options["identity"])
        elif options["output"]:
            self._generate(options["output"])
        else:
            raise CommandError("Give --output PATH, --reseal-manifests or --signer.")

    def _generate(self, path: str) -> None:
        identity, recipient = keys.generate()
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as failure:
            raise CommandError(
                f"{path} cannot be created: {failure.strerror}. An existing identity is never "
                "overwritten: without it, older backups cannot be opened."
            ) from None
        with os.fdopen(file, "w", encoding="utf-8") as out:
            out.write(identity)
        emit(events.KEY_GENERATED, data={"recipient": recipient})
        self.report(
            f"{recipient}\n\nThe secret half is in {path}. Copy it to two places off this machine "
            "(paper is one), then set BACKUP_ENCRYPTION_KEY to the line above where backups are "
            "made, beside the older recipients while they are still needed.",
            recipient=recipient,
            identity_file=path,
        )

    def _reseal(self, identity: str | None) -> None:
        done, failed = services.reseal_manifests(identity_file=identity, now=timezone.now())
        self.report(
            f"{done} manifests are encrypted to the present recipients; {failed} could not be.",
            resealed=done,
            failures=failed,
        )
        if failed:
            raise CommandError("Some manifests could not be encrypted again.")
