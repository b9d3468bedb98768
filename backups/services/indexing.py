"""Rebuilding the index from what the targets hold.

After a restore the index is as old as the backup; on a new machine there is none. The manifests
tell everything, to whoever holds the identity.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction
from django.db.models import Exists, OuterRef

from backups import events, keys, opening, signing, targets
from backups.conf import settings
from backups.creation import recording
from backups.errors import BackupDamaged, BackupNotFound, IdentityWrong, SignerUnknown
from backups.models import Backup, Copy, State, StoredFile
from backups.models.backup import Content, CopyState
from garrison.events import emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyrage import x25519

    from backups.files import Entry
    from backups.opening import OpenedBackup
    from backups.targets import Target

BATCH = 500
MOST_NAMED = 20  # folders in an event


def exists() -> bool:
    """Return whether the index's tables are there."""
    return Backup._meta.db_table in connections["default"].introspection.table_names()


def rebuild(*, identities: Sequence[x25519.Identity] | None = None, now: datetime) -> int:
    """Read every manifest on every target, and make the index say what is there; returns how many.

    Rows are added and corrected, never removed. A manifest that cannot be opened or is not genuine
    is passed over: it becomes no row. What was found damaged stays so: no file is read here. What
    was pruned after the index was restored from is marked so again, and the event names it. A copy
    without a manifest is damaged: its pruning was killed, or somebody took it.
    """
    if identities is None:
        identities = keys.identities() if settings.identity_file else []
    StoredFile.objects.end_use((), at=now)  # what later backups use, their lists tell
    found, gone = 0, list[str]()
    for target in targets.targets():
        folders = set(opening.folders(target))
        whole = {each for each in folders if opening.is_whole(target, each)}
        indexed = sum(_is_indexed(target, folder, identities, now) for folder in sorted(whole))
        found += indexed
        if indexed:  # an empty folder may be a mount that is not there
            gone += _mark_pruned(target, folders)
            _mark_damaged(target, folders - whole)
    emit(events.INDEX_REBUILT, data={"backups": found, "gone": gone[:MOST_NAMED]}, now=now)
    return found


def _is_indexed(
    target: Target, folder: str, identities: Sequence[x25519.Identity], now: datetime
) -> bool:
    try:
        _index(opening.open_backup(target, folder, identities), now)
    except (BackupDamaged, BackupNotFound, IdentityWrong, SignerUnknown):
        return False
    return True


def _mark_pruned(target: Target, folders: set[str]) -> list[str]:
    """Mark what the index believes to be on the target and is not; return those folders."""
    believed = Copy.objects.filter(
        target=target.alias, state__in=(CopyState.GOOD, CopyState.DAMAGED)
    )
    rows = believed.exclude(backup__folder__in=folders).values_list("pk", "backup__folder")
    gone = dict(rows.filter(backup__state__in=(State.GOOD, State.PRUNED)))
    Copy.objects.filter(pk__in=gone).update(state=CopyState.PRUNED)
    left = Copy.objects.filter(backup=OuterRef("pk")).exclude(state=CopyState.PRUNED)
    Backup.objects.good().filter(~Exists(left), copies__in=gone).update(state=State.PRUNED)
    return sorted(gone.values())


def _mark_damaged(target: Target, folders: set[str]) -> None:
    """Mark copies without a manifest; what else is in their folders goes when they are pruned."""
    copies = Copy.objects.filter(target=target.alias, state=CopyState.GOOD)
    why = "There is no manifest in its folder."
    copies.filter(backup__folder__in=folders).update(state=CopyState.DAMAGED, failure=why)


def _index(opened: OpenedBackup, now: datetime) -> None:
    described = opened.manifest
    at = datetime.fromisoformat(described.snapshot_at)
    with transaction.atomic():
        fields = {**_fields(opened, at), "opened_at": now}
        backup, _made = Backup.objects.update_or_create(
            pk=uuid.UUID(described.backup),
            defaults=fields,
            create_defaults=fields | {"queued_at": at, "kind": described.kind},
        )
        Backup.objects.filter(pk=backup.pk, ended_at=None).update(ended_at=at)
        Copy.objects.get_or_create(backup=backup, target=opened.target.alias)
        copies = backup.copies.filter(target=opened.target.alias).exclude(state=CopyState.DAMAGED)
        copies.update(state=CopyState.GOOD, size_bytes=backup.size_bytes, failure="")
        if "files" in described.parts:
            _index_files(opened, at)


def _fields(opened: OpenedBackup, at: datetime) -> dict[str, Any]:
    described = opened.manifest
    return {
        **recording.row_of(described, manifest_sha256=opened.manifest_sha256),
        "owner": None,
        "failure": "",
        "folder": opened.folder,
        "content": Content(described.content),
        "snapshot_at": at,
        "size_bytes": sum(part.sealed.size for part in described.parts.values()),
    }


def _index_files(opened: OpenedBackup, at: datetime) -> None:
    fingerprint = keys.Recipients(tuple(opened.manifest.recipients)).fingerprint
    batch: dict[str, Entry] = {}

    def take(entry: Entry) -> None:
        batch[entry.blob] = entry
        if len(batch) >= BATCH:
            _store(batch, opened.target, fingerprint, at)
            batch.clear()

    opened.each_file(take)
    _store(batch, opened.target, fingerprint, at)


def _store(batch: dict[str, Entry], target: Target, fingerprint: str, at: datetime) -> None:
    known = {row.name: row for row in StoredFile.objects.filter(name__in=batch)}
    for name, row in known.items():
        del batch[name]
        row.first_used_at, row.last_used_at = min(row.first_used_at, at), max(row.last_used_at, at)
        row.save(update_fields=["first_used_at", "last_used_at"])
        if target.alias not in row.lost:
            row.hold([target.alias])
    StoredFile.objects.bulk_create(
        StoredFile(
            name=entry.blob,
            digest=signing.keyed_digest(bytes.fromhex(entry.sealed.raw_sha256)),
            sealed_to=fingerprint,
            sha256=entry.sealed.sha256,
            size=entry.sealed.size,
            targets=[target.alias],
            first_used_at=at,
            last_used_at=at,
        )
        for entry in batch.values()
    )
