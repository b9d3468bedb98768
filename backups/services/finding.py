"""Finding the backup that a restore is to be made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backups import keys, opening, targets
from backups.conf import settings
from backups.errors import BackupDamaged, BackupNotFound
from backups.models import Backup
from backups.models.backup import Content, Kind
from backups.services import indexing

if TYPE_CHECKING:
    from pyrage import x25519

    from backups.opening import Opened
    from garrison.errors import Refusal


def find(
    *,
    folder: str | None = None,
    target: str | None = None,
    identity_file: str | None = None,
    content: str = Content.ALL,
) -> Opened:
    """Open a backup by its folder on a target (the first that has it).

    Without a folder it is the newest that holds the wanted ``content``; one made for safety before
    a restore must be named. Needs no index: what the targets hold is enough, so it works on an
    empty database.
    """
    identities = keys.identities(identity_file) if _needs_identity(identity_file) else []
    chosen = [targets.target(target)] if target else targets.targets()
    last: Refusal | None = None
    for each in chosen:
        try:
            if folder is None:
                return _newest(each, identities, content)
            return opening.open_backup(each, folder, identities, sha256=_indexed_hash(folder))
        except (BackupDamaged, BackupNotFound) as refusal:
            last = last or refusal
    raise last or BackupNotFound("No target is configured.")


def _needs_identity(path: str | None) -> bool:
    return bool(path or settings.identity_file or settings.recipients)


def _newest(target: targets.Target, identities: list[x25519.Identity], content: str) -> Opened:
    """Open the newest one; if it is damaged, that is said, and no older one is taken silently."""
    for folder in reversed(opening.folders(target)):
        try:
            opening.manifest_name(target, folder)
        except BackupNotFound:
            continue  # being written, or left by a dead run
        opened = opening.open_backup(target, folder, identities, sha256=_indexed_hash(folder))
        holds = content == Content.ALL or str(content) in opened.manifest.parts
        if holds and opened.manifest.kind != Kind.SAFETY:
            return opened
    raise BackupNotFound(f"The target {target.alias!r} holds no backup of the kind asked for.")


def _indexed_hash(folder: str) -> str:
    if not opening.FOLDER_NAME.match(folder) or not indexing.exists():
        return ""
    row = Backup.objects.filter(folder=folder).first()
    return row.manifest_sha256 if row else ""
