"""What dead runs and failed copies have left on the targets; only for the holder of the lease."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from django.db import DatabaseError

from backups import events, opening, targets
from backups.layout import BLOB_NAME, FILES
from backups.models import Backup, Copy, State, StoredFile
from backups.models.backup import CopyState
from garrison.events import emit

if TYPE_CHECKING:
    from backups.targets import Target

LEFT = (CopyState.WRITING, CopyState.FAILED)
BATCH = 500


def sweep() -> None:
    """Sweep every target that answers."""
    for target in targets.targets():
        try:
            sweep_target(target)
        except DatabaseError:
            raise
        except Exception:  # noqa: BLE001, S112 - storages raise what they like; swept when it is back
            continue


def sweep_target(target: Target) -> str:
    """Delete half-written files, and folders that never became a backup.

    Returns a whole backup that the index does not know, if there is one: a folder with a manifest
    stays, for that is written last, whatever the index says. One whose row knows that very manifest
    was killed at its last step, and is made good; any other speaks of an index that is older than
    the target (it was restored, and not rebuilt).
    """
    target.sweep_partials()
    unknown = ""
    rows = {row.folder: row for row in Backup.objects.exclude(folder="")}
    held = Copy.objects.filter(target=target.alias).exclude(state__in=LEFT)
    expected = dict(held.values_list("backup__folder", "state"))
    for folder in opening.folders(target):
        row = rows.get(folder)
        if folder in expected and row is not None and row.state in {State.GOOD, State.PRUNED}:
            if expected[folder] == CopyState.PRUNED and not opening.is_whole(target, folder):
                target.delete_folder(folder)  # what a killed pruning left
            continue
        if opening.is_whole(target, folder):
            unknown = unknown if row is not None and _adopt(row, target) else folder
        elif row is not None:
            target.delete_folder(folder)
    left = Copy.objects.filter(target=target.alias, backup__state=State.FAILED)
    left.filter(state__in=LEFT).update(state=CopyState.PRUNED)
    return unknown


def _adopt(backup: Backup, target: Target) -> bool:
    """Make a backup good that was killed after its manifest was written, if it is that one."""
    found = opening.manifest_sha256(target, backup.folder)
    if not backup.manifest_sha256 or found != backup.manifest_sha256:
        return False
    fields = {"state": State.GOOD, "stage": "", "failure": ""}
    if Backup.objects.filter(pk=backup.pk, state=State.FAILED).update(**fields):
        emit(events.BACKUP_CREATED, target=f"backup:{backup.pk}", data={"folder": backup.folder})
    backup.copies.filter(target=target.alias).exclude(state=CopyState.DAMAGED).update(
        state=CopyState.GOOD, failure=""
    )
    return True


def collect_orphans(target: Target, collected: list[str]) -> None:
    """Delete the encrypted files that the index does not know; their names are ``collected``.

    They were written by runs that were killed before they could record them. Must not be called
    where :func:`sweep_target` has found a whole backup that the index does not know.
    """
    for folder in target.list(FILES)[0]:
        names = iter(target.list(f"{FILES}/{folder}")[1])
        while batch := {f"{FILES}/{folder}/{name}" for name in islice(names, BATCH)}:
            known = StoredFile.objects.filter(name__in=batch).values_list("name", flat=True)
            for name in filter(BLOB_NAME.match, batch.difference(known)):
                target.delete(name)
                collected.append(name)
