"""After a change of keys: manifests are encrypted again, to the present recipients as well.

The new identity can then list every older backup and check that its manifest is genuine. Its parts
stay encrypted to the keys of their time, so the old identity must be kept until the last of those
backups has been pruned; it opens manifest and parts alone, as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backups import events, keys, leases, manifest, opening, targets
from backups.layout import MANIFEST_NAME
from backups.models import Backup, Copy
from backups.models.backup import CopyState
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

    from pyrage import x25519

    from backups.targets import Target


@dataclass
class ResealResult:
    """How many manifests were encrypted again, and what failed."""

    done: int = 0
    failures: int = 0


def reseal_manifests(*, identity_file: str | None = None, now: datetime) -> ResealResult:
    """Encrypt the manifest of every good copy to the present recipients, beside its own.

    Works under the backup lease. The new manifest is written beside the old one before that is
    deleted, so there is a whole one at every moment.
    """
    to = keys.recipients()
    identities = keys.identities(identity_file)
    result = ResealResult()
    with leases.hold(leases.BACKUP, now=now) as held:
        for backup in Backup.objects.good().exclude(recipients=[]):
            held.require_now()
            _reseal(backup, to, identities, result)
    if result.done:
        emit(events.BACKUP_RESEALED, data={"manifests": result.done}, now=now)
    return result


def _reseal(
    backup: Backup, to: keys.Recipients, identities: list[x25519.Identity], result: ResealResult
) -> None:
    copies = list(backup.copies.filter(state=CopyState.GOOD))
    sealed = b""
    for copy in copies:
        target = targets.target(copy.target)
        try:
            opened = opening.open_backup(
                target, backup.folder, identities, sha256=backup.manifest_sha256
            )
            both = keys.Recipients((*to.texts, *opened.manifest.recipients))
            sealed = sealed or manifest.write(opened.manifest, both)
            _replace(target, backup.folder, sealed)
        except Exception as failure:  # noqa: BLE001 - storages raise what they like
            result.failures += 1
            why = f"Its manifest could not be encrypted again: {type(failure).__name__}."
            Copy.objects.filter(pk=copy.pk).update(failure=why)
        else:
            result.done += 1
    if sealed:
        Backup.objects.filter(pk=backup.pk).update(manifest_sha256=manifest.sha256(sealed))


def _replace(target: Target, folder: str, sealed: bytes) -> None:
    """Write the next manifest, then delete the ones before it."""
    old = opening.manifest_name(target, folder)
    match = MANIFEST_NAME.match(old)
    number = int(match[1] or 0) + 1 if match else 1
    with target.writer(f"{folder}/{manifest.NAME}.{number}.age") as out:
        out.write(sealed)
        out.commit()
    target.delete(f"{folder}/{old}")
