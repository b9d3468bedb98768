"""The folders of runs, and what dead runs have left in them."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from django.db import DatabaseError

from backups import opening
from backups.models import Backup, Copy, State
from backups.models.backup import CopyState
from backups.targets import targets

if TYPE_CHECKING:
    from datetime import datetime

FOLDER_TIME = "%Y%m%dT%H%M%S"


def folder_of(backup: Backup, *, at: datetime) -> str:
    """Name the folder of a backup: sorts by time, to the millisecond, and is unique."""
    utc = at.astimezone(UTC)
    return f"{utc:{FOLDER_TIME}}{utc.microsecond // 1000:03}Z-{backup.pk.hex[:12]}"


def sweep() -> None:
    """Delete what dead runs have left on the targets; only for the holder of the lease.

    A folder with a manifest stays: it is written last, so the backup is whole, whatever the index
    says. An index that came out of that very backup says "running", until a restore has rebuilt it;
    a restore that was killed in between must not cost the backup it came from.
    """
    dead = Backup.objects.filter(state=State.FAILED).exclude(folder="")
    for each in targets():
        try:
            each.sweep_partials()
            for backup in dead.filter(
                copies__target=each.alias, copies__state__in=(CopyState.WRITING, CopyState.FAILED)
            ):
                if opening.is_whole(each, backup.folder):
                    continue
                each.delete_folder(backup.folder)
                Copy.objects.filter(backup=backup, target=each.alias).update(state=CopyState.PRUNED)
        except Exception as failure:
            if isinstance(failure, DatabaseError):
                raise
            continue  # a target that is away is swept when it is back
