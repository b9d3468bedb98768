"""Finding the backup that a restore is to be made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

from backups import keys, layout, opening, targets
from backups.conf import settings
from backups.errors import BackupDamaged, BackupNotFound, SignerUnknown, TargetFailed
from backups.layout import FOLDER_NAME
from backups.models import Backup
from backups.models.backup import Content, CopyState, Kind
from backups.services import indexing
from backups.times import SKEW

if TYPE_CHECKING:
    from pyrage import x25519

    from backups.opening import OpenedBackup
    from garrison.errors import Refusal


def find(
    *,
    folder: str | None = None,
    target: str | None = None,
    identity_file: str | None = None,
    content: str = Content.ALL,
) -> OpenedBackup:
    """Open a backup by its folder on a target (the first that has it).

    Without a folder it is the newest of all targets that holds the wanted ``content``; one made for
    safety before a restore must be named. No older one is taken silently: it is refused if a newer
    one is damaged, or if the index knows a newer one that its target does not hold any more. Needs
    no index: what the targets hold is enough, so it works on an empty database.
    """
    identities = keys.identities(identity_file) if _needs_identity(identity_file) else []
    chosen = [targets.target(target)] if target else targets.targets()
    if folder is None:
        return _newest(chosen, identities, content)
    refusals: list[Refusal] = []
    for each in chosen:
        try:
            return opening.open_backup(each, folder, identities, sha256=_indexed_hash(folder))
        except (BackupDamaged, BackupNotFound, SignerUnknown, TargetFailed) as refusal:
            refusals.append(refusal)
    raise refusals[0] if refusals else BackupNotFound("No target is configured.")


def _needs_identity(path: str | None) -> bool:
    return bool(path or settings.identity_file or settings.recipients)


def _newest(
    chosen: list[targets.Target], identities: list[x25519.Identity], content: str
) -> OpenedBackup:
    failures: dict[str, Refusal] = {}
    each_newest = [_newest_on(each, identities, content, failures) for each in chosen]
    found = [opened for opened in each_newest if opened is not None]
    best = max(found, key=lambda opened: opened.folder, default=None)  # the first of equal ones
    passed_over = max(failures, default=None)
    if passed_over is not None and (best is None or passed_over > best.folder):
        raise failures[passed_over]
    if best is None:
        raise BackupNotFound("The targets hold no backup of the kind asked for.")
    if layout.made_at(best.folder) > timezone.now() + SKEW:
        raise BackupNotFound(
            f"The newest backup, {best.folder}, is stamped in the future: a clock is or was wrong, "
            "and a newer one may stand behind it. Look at `manage.py backup_list --on-targets`, "
            "and name the one you want."
        )
    _require_newest(best, content, [each.alias for each in chosen])
    return best


def _newest_on(
    target: targets.Target,
    identities: list[x25519.Identity],
    content: str,
    failures: dict[str, Refusal],
) -> OpenedBackup | None:
    """Open the newest one on a target; a refusal is kept under the folder that was looked at."""
    folder = ""
    try:
        for folder in reversed(opening.folders(target)):
            if not opening.is_whole(target, folder):
                continue  # being written, or left by a dead run
            opened = opening.open_backup(target, folder, identities, sha256=_indexed_hash(folder))
            if _is_wanted(opened, content):
                return opened
    except (BackupDamaged, SignerUnknown, TargetFailed) as refusal:
        failures.setdefault(folder, refusal)
    return None


def _is_wanted(opened: OpenedBackup, content: str) -> bool:
    holds = content == Content.ALL or str(content) in opened.manifest.parts
    return holds and opened.manifest.kind != Kind.SAFETY


def _require_newest(opened: OpenedBackup, content: str, aliases: list[str]) -> None:
    """Refuse to pass an older backup off as the newest where the index knows better."""
    if not indexing.exists():
        return
    good = Backup.objects.good().exclude(kind=Kind.SAFETY).filter(folder__gt=opened.folder)
    if content != Content.ALL:
        good = good.filter(content__in=(Content.ALL, content))
    newer = good.filter(copies__target__in=aliases, copies__state=CopyState.GOOD)
    withheld = newer.order_by("-folder").first()
    if withheld is not None:
        raise BackupDamaged(
            f"The index knows a newer backup, {withheld.folder}, that the targets do not hold any "
            f"more: somebody has deleted it. To restore the older one all the same, name it: "
            f"{opened.folder}."
        )


def _indexed_hash(folder: str) -> str:
    if not FOLDER_NAME.match(folder) or not indexing.exists():
        return ""
    row = Backup.objects.filter(folder=folder).first()
    return row.manifest_sha256 if row else ""
