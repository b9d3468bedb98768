"""Deleting what is no longer kept: backups first, then files that no backup needs."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backups import events, leases, retention, targets
from backups.conf import settings
from backups.models import Backup, Copy, State, StoredFile
from backups.models.backup import CopyState
from garrison.events import emit

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

HOLDING = (CopyState.GOOD, CopyState.DAMAGED)


@dataclass
class PruneResult:
    """What was deleted, or would be."""

    backups: list[Backup] = field(default_factory=list)
    kept: dict[uuid.UUID, str] = field(default_factory=dict)
    files: int = 0
    file_bytes: int = 0
    failures: list[str] = field(default_factory=list)


def prune(*, now: datetime, dry_run: bool = False) -> PruneResult:
    """Delete the backups that nothing keeps, then the files that only they needed.

    Works under the backup lease, so no running backup can lose a file it counts on; refuses while
    one runs. A deletion that fails (a locked object, a target that is away) is tried again next
    time. With ``dry_run`` nothing is changed.
    """
    if dry_run:
        return _decide(now)
    with leases.hold(leases.BACKUP, now=now) as held:
        pruned = _decide(now)
        for backup in pruned.backups:
            held.require_now()
            _retire(backup, now)
        _delete_copies(pruned)
        held.require_now()
        _delete_files(pruned)
    return pruned


def _decide(now: datetime) -> PruneResult:
    good = list(Backup.objects.good().exclude(snapshot_at=None))
    whole = set(Copy.objects.filter(state=CopyState.GOOD).values_list("backup_id", flat=True))
    candidates = [
        retention.Candidate(b.pk, b.snapshot_at, b.pk in whole, b.drilled_at)  # type: ignore[arg-type]
        for b in good
    ]
    policy = retention.Policy(
        days=settings.retention_days,
        weekly=settings.keep_weekly,
        monthly=settings.keep_monthly,
        last=settings.keep_last,
        locked_days=settings.object_lock_days,
    )
    kept = retention.keepers(candidates, policy, now=now)
    pruned = PruneResult(backups=[b for b in good if b.pk not in kept], kept=kept)
    for row in _unneeded(kept):
        pruned.files += 1
        pruned.file_bytes += row.size
    return pruned


def _retire(backup: Backup, now: datetime) -> None:
    """Take it off the list of good ones before its first byte goes."""
    if Backup.objects.filter(pk=backup.pk, state=State.GOOD).update(state=State.PRUNED):
        emit(
            events.BACKUP_PRUNED,
            target=f"backup:{backup.pk}",
            data={"folder": backup.folder, "bytes": backup.size_bytes},
            now=now,
        )


def _delete_copies(pruned: PruneResult) -> None:
    left = Copy.objects.filter(backup__state=State.PRUNED, state__in=HOLDING)
    for copy in left.select_related("backup"):
        try:
            targets.target(copy.target).delete_folder(copy.backup.folder)
        except Exception as failure:  # noqa: BLE001 - storages raise what they like
            pruned.failures.append(f"{copy.target}/{copy.backup.folder}: {type(failure).__name__}")
            continue
        Copy.objects.filter(pk=copy.pk).update(state=CopyState.PRUNED)


def _unneeded(kept: dict[uuid.UUID, str]) -> list[StoredFile]:
    """Return the files in whose time of use no kept backup's snapshot lies."""
    times = Backup.objects.good().filter(pk__in=kept).values_list("snapshot_at", flat=True)
    snapshots = sorted(at for at in times if at is not None)
    return [
        row
        for row in StoredFile.objects.order_by("pk").iterator()
        if not _lies_between(snapshots, row.first_used_at, row.last_used_at)
    ]


def _lies_between(ordered: list[datetime], first: datetime, last: datetime) -> bool:
    place = bisect_left(ordered, first)
    return place < len(ordered) and ordered[place] <= last


def _delete_files(pruned: PruneResult) -> None:
    pruned.files = pruned.file_bytes = 0
    for row in _unneeded(pruned.kept):
        try:
            for alias in row.targets:
                targets.target(alias).delete(row.name)
        except Exception as failure:  # noqa: BLE001 - storages raise what they like
            pruned.failures.append(f"{row.name}: {type(failure).__name__}")
            continue
        row.delete()
        pruned.files += 1
        pruned.file_bytes += row.size
