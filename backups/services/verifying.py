"""Verifying a backup on all its targets, and keeping what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backups import events, keys, opening, targets, verification
from backups.conf import settings
from backups.errors import BackupDamaged, BackupNotFound, FilesDamaged, IdentityMissing
from backups.models import Backup, Copy, State, StoredFile
from backups.models.backup import CopyState
from garrison.events import emit

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from pyrage import x25519

    from backups.verification import VerificationReport

LOOKED_AT = (CopyState.GOOD, CopyState.DAMAGED)


def good_backup(backup_id: uuid.UUID | str | None) -> Backup:
    """Return a good backup by id, or the newest for ``None``; anything else is refused."""
    good = Backup.objects.good()
    found = good.filter(pk=backup_id).first() if backup_id else Backup.objects.newest_good()
    if found is None:
        wanted = f"good backup {backup_id}" if backup_id else "good backup at all"
        raise BackupNotFound(f"There is no {wanted}. `manage.py backup_list` shows what there is.")
    return found


def verify(
    *,
    backup_id: uuid.UUID | str | None = None,
    target: str | None = None,
    identity_file: str | None = None,
    now: datetime,
) -> dict[str, VerificationReport]:
    """Read every byte of every copy of a backup; returns what was found by target.

    With an identity everything is decrypted and compared with the signed manifest; without one the
    encrypted bytes are compared with the index. The first damaged copy raises after all copies were
    looked at, and each is marked for what it is.
    """
    backup = good_backup(backup_id)
    identities = _identities(identity_file)
    copies = backup.copies.filter(state__in=LOOKED_AT)
    if target is not None:
        copies = copies.filter(target=target)
    found: dict[str, VerificationReport] = {}
    damage: list[BackupDamaged] = []
    for copy in copies.order_by("target"):
        try:
            found[copy.target] = _verify_copy(backup, copy, identities, now)
        except (BackupDamaged, BackupNotFound) as refusal:
            damage.append(_mark_damaged(backup, copy, refusal))
    if damage:
        raise damage[0]
    if not found:
        raise BackupNotFound(f"Backup {backup} has no copy {f'on {target}' if target else 'left'}.")
    _mark_whole(backup, found, now)
    return found


def _identities(path: str | None) -> list[x25519.Identity] | None:
    if not (path or settings.identity_file):
        return None
    return keys.identities(path)


def _verify_copy(
    backup: Backup, copy: Copy, identities: list[x25519.Identity] | None, now: datetime
) -> VerificationReport:
    where = targets.target(copy.target)
    if identities is None and backup.recipients:
        findings = verification.verify_intact(backup, where)
    else:
        opened = opening.open_backup(
            where, backup.folder, identities or [], sha256=backup.manifest_sha256
        )
        findings = verification.verify_opened(opened)
    Copy.objects.filter(pk=copy.pk).update(state=CopyState.GOOD, verified_at=now, failure="")
    return findings


def _mark_damaged(
    backup: Backup, copy: Copy, refusal: BackupDamaged | BackupNotFound
) -> BackupDamaged:
    told = refusal.detail[:500]
    if isinstance(refusal, FilesDamaged):
        StoredFile.objects.forget(refusal.blobs, target=copy.target)
    Copy.objects.filter(pk=copy.pk).update(state=CopyState.DAMAGED, failure=told)
    Backup.objects.filter(pk=backup.pk).update(damage=told)
    emit(
        events.VERIFICATION_FAILED,
        target=f"backup:{backup.pk}",
        data={"target": copy.target, "why": told},
    )
    return refusal if isinstance(refusal, BackupDamaged) else BackupDamaged(told)


def _mark_whole(backup: Backup, found: dict[str, VerificationReport], now: datetime) -> None:
    fields: dict[str, Any] = {"verified_at": now}
    if any(findings.level == "opened" for findings in found.values()):
        fields["opened_at"] = now
    if not backup.copies.filter(state=CopyState.DAMAGED).exists():
        fields["damage"] = ""
    Backup.objects.filter(pk=backup.pk, state=State.GOOD).update(**fields)
    emit(
        events.BACKUP_VERIFIED,
        target=f"backup:{backup.pk}",
        data={target: findings.level for target, findings in found.items()},
        now=now,
    )


def require_identity() -> None:
    """Refuse work that has to open a backup where no identity is."""
    if not settings.identity_file and settings.recipients:
        raise IdentityMissing(
            "No identity is configured here, so nothing can be opened. Run this on the machine "
            "where restores run, with BACKUP_IDENTITY_FILE set."
        )
