"""Read every byte of a backup."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from backups import services
from backups.errors import BackupDamaged, VerificationIndeterminate
from backups.management.commands._base import BackupCommand, human
from backups.models import Backup

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from garrison.errors import Refusal


DAMAGED, USAGE, INDETERMINATE = 1, 2, 3  # exit codes


class Command(BackupCommand):
    """Verifies backups; exit code 1 if one is damaged, 3 if nobody can tell here."""

    help = (
        "Read every byte of a backup on all its targets: with the identity it is decrypted and "
        "compared with its signed manifest, without it the encrypted bytes are compared with the "
        "index. Exit code 0: intact; 1: damaged; 2: there is no such backup; 3: indeterminate, "
        "because a key or a target is out of reach."
    )

    takes = ("backup", "--target", "--identity")

    def add_arguments(self, parser: CommandParser) -> None:
        """Add which one."""
        super().add_arguments(parser)
        parser.add_argument("--all", action="store_true", help="Verify every good backup.")

    def run(self, **options: Any) -> None:
        """Verify; with ``--all`` every one, whatever was found in those before it."""
        chosen: list[Any] = [options["backup"]]
        if options["all"]:
            chosen = list(Backup.objects.good().values_list("folder", flat=True))
        refusals: list[BackupDamaged | VerificationIndeterminate] = []
        for backup_id in chosen:
            try:
                self._verify(backup_id, options)
            except (BackupDamaged, VerificationIndeterminate) as refusal:
                refusals.append(refusal)
                if options["all"]:
                    self.stderr.write(f"{backup_id}: {refusal.detail}")
        for kind in (BackupDamaged, VerificationIndeterminate):
            if found := [refusal.detail for refusal in refusals if isinstance(refusal, kind)]:
                more = f" So are {len(found) - 1} more." if found[1:] else ""
                raise kind(found[0] + more)

    def exit_code(self, refusal: Refusal) -> int:
        """Tell the outcomes apart, and both from a question that cannot be asked."""
        if isinstance(refusal, BackupDamaged):
            return DAMAGED
        return INDETERMINATE if isinstance(refusal, VerificationIndeterminate) else USAGE

    def _verify(self, backup_id: Any, options: dict[str, Any]) -> None:
        found = services.verify(
            backup_id=backup_id,
            target=options["target"],
            identity_file=options["identity"],
            now=timezone.now(),
        )
        for target, findings in found.items():
            notes = " ".join(findings.notes)
            self.report(
                f"{target}: {findings.level}, {findings.parts} parts, {findings.files} files, "
                f"{human(findings.raw_bytes)}. {notes}".rstrip(),
                target=target,
                **asdict(findings),
            )
