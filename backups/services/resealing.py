"""After a change of keys: manifests are encrypted again, to the present recipients as well.

The new identity can then list every older backup and check that its manifest is genuine. Its parts
stay encrypted to the keys of their time, so the old identity must be kept until the last of those
backups has been pruned; it opens manifest and parts alone, as before.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from backups import events, keys, leases, manifest, opening, signing, targets
from backups.layout import MANIFEST_NAME
from backups.models import Backup
from backups.models.backup import CopyState
from backups.targets import Target
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

    from pyrage import x25519


def reseal_manifests(*, identity_file: str | None = None, now: datetime) -> tuple[int, int]:
    """Encrypt the manifests of every good backup to the present recipients, beside their own.

    Returns how many were, and how many could not be. Works under the backup lease. The new manifest
    is written before the old one is deleted, so there is a whole one at every moment.
    """
    to, identities = keys.recipients(), keys.identities(identity_file)
    done = failed = 0
    with leases.hold(leases.BACKUP, now=now) as held:
        for backup in Backup.objects.good().exclude(recipients=[]):
            held.require_now()
            if why := _reseal(backup, to, identities):
                failed += backup.copies.filter(state=CopyState.GOOD).update(failure=why)
            else:
                done += backup.copies.filter(state=CopyState.GOOD).count()
    if done:
        emit(events.BACKUP_RESEALED, data={"manifests": done}, now=now)
    return done, failed


def _reseal(backup: Backup, to: keys.Recipients, identities: list[x25519.Identity]) -> str:
    """Replace the manifest on every target, or on none: the index knows one hash for them all.

    Returns why it could not be done; empty where it was.
    """
    copies = backup.copies.filter(state=CopyState.GOOD).values_list("target", flat=True)
    known, written = backup.manifest_sha256, list[tuple[Target, str, str]]()
    try:
        opened = [
            opening.open_backup(targets.target(alias), backup.folder, identities, sha256=known)
            for alias in copies
        ]
        for each in opened:
            if not written:
                both = keys.Recipients((*to.texts, *each.manifest.recipients))
                # By the key in use, not that of its time; and read back before any goes.
                signed = replace(each.manifest, signer=signing.signer())
                sealed = manifest.write(signed, both)
                manifest.read(sealed, folder=backup.folder, identities=identities)
            written.append((each.target, *_write(each.target, backup.folder, sealed)))
    except Exception as failure:  # noqa: BLE001 - storages raise what they like
        _delete([(target, new) for target, _old, new in written])
        return f"Its manifest could not be encrypted again: {type(failure).__name__}."
    if written:
        Backup.objects.filter(pk=backup.pk).update(
            manifest_sha256=manifest.sha256(sealed), signer=signed.signer
        )
    _delete([(target, old) for target, old, _new in written])
    return ""


def _write(target: Target, folder: str, sealed: bytes) -> tuple[str, str]:
    """Write the next manifest beside the present one, which it replaces; returns both names."""
    old = opening.manifest_name(target, folder)
    match = MANIFEST_NAME.match(old)
    number = int(match[1] or 0) + 1 if match else 1
    new = f"{folder}/{manifest.NAME}.{number}.age"
    with target.writer(new) as out:
        out.write(sealed)
        out.commit()
    return f"{folder}/{old}", new


def _delete(manifests: list[tuple[Target, str]]) -> None:
    for target, name in manifests:
        with suppress(Exception):  # of several the newest counts; pruning deletes them all
            target.delete(name)
