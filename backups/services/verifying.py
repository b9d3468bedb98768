"""Verifying a backup on all its targets, and keeping what was found."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.db.models import Q

from backups import events, keys, opening, targets, verification
from backups.conf import settings
from backups.errors import (
    OUT_OF_REACH,
    BackupDamaged,
    BackupNotFound,
    BackupNotGood,
    BackupsRefusal,
    FilesDamaged,
    IdentityMissing,
    VerificationIndeterminate,
)
from backups.layout import FOLDER_NAME
from backups.models import Backup, Copy, State, StoredFile
from backups.models.backup import CopyState
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

    from pyrage import x25519

    from backups.verification import VerificationReport

LOOKED_AT = (CopyState.GOOD, CopyState.DAMAGED)


def good_backup(backup_id: uuid.UUID | str | None, *, now: datetime) -> Backup:
    """Return a good backup by id or folder, or the newest for ``None``; refuses anything else."""
    if backup_id is None:
        found = Backup.objects.newest_good(now=now)
    else:
        named = Backup.objects.filter(_named(str(backup_id)))
        found = named.good().first()
        if found is None and (other := named.first()):
            raise BackupNotGood(f"The backup {backup_id} is {other.state}. Take one that is good.")
    if found is None:
        wanted = "good backup at all" if backup_id is None else f"good backup {backup_id}"
        raise BackupNotFound(f"There is no {wanted}. `manage.py backup_list` shows what there is.")
    return found


def _named(name: str) -> Q:
    try:
        return Q(pk=uuid.UUID(name))
    except ValueError:
        return Q(folder=name) if FOLDER_NAME.match(name) else Q(pk=None)


def verify(
    *,
    backup_id: uuid.UUID | str | None = None,
    target: str | None = None,
    identity_file: str | None = None,
    now: datetime,
) -> dict[str, VerificationReport]:
    """Read every byte of every copy of a backup; returns what was found by target.

    With an identity everything is decrypted and compared with the signed manifest; without one the
    encrypted bytes are compared with the index. After all copies were looked at, and each marked
    for what it is, the first damaged one raises; where none is, but a key or a target is out of
    reach, :class:`~backups.errors.VerificationIndeterminate`: that marks no copy, damaged or good.
    """
    backup = good_backup(backup_id, now=now)
    if identity_file is not None:
        keys.identities(identity_file)  # one that was asked for and is not there decides nothing
    copies = list(backup.copies.filter(state__in=LOOKED_AT).order_by("target"))
    if target is not None:
        copies = [copy for copy in copies if copy.target == target]
    elif configured := [copy for copy in copies if copy.target in django_settings.STORAGES]:
        copies = configured  # one on a target that was taken out is pruning's to report
    found: dict[str, VerificationReport] = {}
    damage: list[BackupDamaged] = []
    out_of_reach: dict[str, BackupsRefusal] = {}
    for copy in copies:
        try:
            found[copy.target] = _verify_copy(backup, copy, identity_file, now)
        except (BackupDamaged, BackupNotFound) as refusal:
            opened = _identities(identity_file) is not None
            damage.append(mark_damaged(backup, copy, refusal, by_opening=opened))
        except OUT_OF_REACH as refusal:
            out_of_reach[copy.target] = refusal
    if not (found or damage or out_of_reach):
        raise BackupNotFound(f"Backup {backup} has no copy {f'on {target}' if target else 'left'}.")
    why = _record_indeterminate(backup, out_of_reach, is_of_all=target is None, now=now)
    if damage:
        raise damage[0]
    if why:
        raise VerificationIndeterminate(f"Whether backup {backup} is intact cannot be told: {why}")
    _mark_whole(backup, found, now)
    return found


def _identities(path: str | None) -> list[x25519.Identity] | None:
    if not (path or settings.identity_file):
        return None
    return keys.identities(path)


def _verify_copy(
    backup: Backup, copy: Copy, identity_file: str | None, now: datetime
) -> VerificationReport:
    where, identities = targets.target(copy.target), _identities(identity_file)
    if identities is None and backup.recipients:
        findings = verification.verify_intact(backup, where)
        if copy.needs_opening:
            raise IdentityMissing(
                "An identity has found it damaged, and the bytes are now as written; verify it "
                "with the identity."
            )
    else:
        opened = opening.open_backup(
            where, backup.folder, identities or [], sha256=backup.manifest_sha256
        )
        findings = verification.verify_opened(opened)
        StoredFile.objects.hold_again(findings.blobs, target=copy.target)
    Copy.objects.filter(pk=copy.pk).update(
        state=CopyState.GOOD, verified_at=now, failure="", needs_opening=False
    )
    return findings


def mark_damaged(
    backup: Backup, copy: Copy, refusal: BackupDamaged | BackupNotFound, *, by_opening: bool
) -> BackupDamaged:
    """Record damage of a copy, until it is read and found whole; ``by_opening``, by an identity."""
    told = refusal.detail[:500]
    if isinstance(refusal, FilesDamaged):
        StoredFile.objects.lose(refusal.blobs, target=copy.target)
    Copy.objects.filter(pk=copy.pk).update(
        state=CopyState.DAMAGED, failure=told, needs_opening=by_opening or copy.needs_opening
    )
    Backup.objects.filter(pk=backup.pk).update(damage=told)
    backup.emit(events.VERIFICATION_FAILED, target=copy.target, why=told)
    return refusal if isinstance(refusal, BackupDamaged) else BackupDamaged(told)


def _record_indeterminate(
    backup: Backup, out_of_reach: dict[str, BackupsRefusal], *, is_of_all: bool, now: datetime
) -> str:
    """Store why the verification could not decide, and return it; empty where it could.

    One that looked at a single target does not decide about the others.
    """
    reasons = [f"{alias}: {refusal.detail}" for alias, refusal in out_of_reach.items()]
    why = " ".join(reasons)[:500]
    if why or is_of_all:
        Backup.objects.filter(pk=backup.pk).update(indeterminate=why)
    for alias, refusal in out_of_reach.items():
        told = {"target": alias, "reason": refusal.code, "why": refusal.detail[:500]}
        backup.emit(events.VERIFICATION_INDETERMINATE, now=now, **told)
    return why


def _mark_whole(backup: Backup, found: dict[str, VerificationReport], now: datetime) -> None:
    fields: dict[str, Any] = {"verified_at": now}
    if any(findings.level == "opened" for findings in found.values()):
        fields["opened_at"] = now
    if not backup.copies.filter(state=CopyState.DAMAGED).exists():
        fields["damage"] = ""
    Backup.objects.filter(pk=backup.pk, state=State.GOOD).update(**fields)
    levels = {target: findings.level for target, findings in found.items()}
    emit(events.BACKUP_VERIFIED, target=f"backup:{backup.pk}", data=levels, now=now)


def require_identity() -> None:
    """Refuse work that has to open a backup where no identity is."""
    if not settings.identity_file and settings.recipients:
        raise IdentityMissing(
            "No identity is configured here, so nothing can be opened. Run this on the machine "
            "where restores run, with BACKUP_IDENTITY_FILE set."
        )
