"""Deleting what is no longer kept: backups, files that no backup needs, what failed runs left."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import methodcaller
from typing import TYPE_CHECKING

from django.db.models import Count, Exists, OuterRef, Q, Sum
from django.db.models.functions import Now
from django.utils import timezone

from backups import events, leases, retention
from backups.conf import settings
from backups.errors import BackupNotFound, BackupsRefusal
from backups.models import Backup, Copy, Lease, State, StoredFile
from backups.models.backup import Content, CopyState
from backups.services import running
from backups.services.sweeping import HOLDING, Sweep, collect_orphans
from backups.times import SKEW, duration
from garrison.errors import Refusal
from garrison.events import emit

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from django.db.models import QuerySet

logger = logging.getLogger("backups")
FEW = 3  # backups that may always go at once
HELD, YEAR = f"said:{events.PRUNING_HELD}", 24 * 365  # a notice, until a pruning is not held back


@dataclass
class PruneResult:
    """What was deleted, or would be; ``held`` is why nothing was, although its time had come."""

    backups: list[Backup] = field(default_factory=list)
    kept: dict[uuid.UUID, str] = field(default_factory=dict)
    held: str = ""
    files: int = 0
    file_bytes: int = 0
    orphans: int = 0
    failures: list[str] = field(default_factory=list)


def prune(
    *, now: datetime, dry_run: bool = False, allow: int = 0, is_retried: bool = False
) -> PruneResult:
    """Delete the backups that nothing keeps, then the files that only they needed, then orphans.

    Works under the backup lease, so no running backup can lose a file it counts on; refuses while
    one runs. Where two clocks differ, or more than ``BACKUPS_PRUNE_PERCENT`` of the good backups
    would go and not as many were ``allow``-ed, no backup goes. A deletion that fails (a locked
    object, a target that is away) is tried again next time. Where a failed run ``is_retried``, its
    files stay for the next attempt. With ``dry_run`` nothing is changed.
    """
    if dry_run:
        return _decide(now, allow, is_retried=is_retried)
    with leases.hold(leases.BACKUP, now=now) as held:
        running.declare_dead(Backup.objects.all(), held, now=now)
        sweep = Sweep(held.require)  # before the decision: it may find a backup that is good
        pruned = _decide(now, allow, is_retried=is_retried)
        if pruned.held:
            Lease.objects.claim_notice(HELD, hours=YEAR, now=now)
            emit(events.PRUNING_HELD, data={"why": pruned.held}, now=now)
        else:
            Lease.objects.end_notice(HELD)
        held.require_now()
        for backup in pruned.backups:
            _retire(backup, now)
        _delete_copies(sweep)
        _delete_files(pruned, sweep, is_retried=is_retried)
        orphans = list[str]()
        for alias in settings.targets:
            sweep.delete(alias, lambda target: orphans.extend(collect_orphans(target)))
        pruned.orphans, pruned.failures = len(orphans), sweep.failures()
    return pruned


@contextmanager
def pruning_after() -> Iterator[None]:
    """Prune after the block, also where it failed: what a failed run left may fill the disk."""
    try:
        yield
    except Exception:
        _prune_quietly()
        raise
    _prune_quietly()


def _prune_quietly() -> None:
    try:
        pruned = prune(now=timezone.now(), is_retried=True)
    except Refusal as refusal:
        logger.info("Pruning waits: %s", refusal.detail)
    except Exception:  # must not hide what the backup has ended with
        logger.exception("Pruning failed.")
    else:
        for why in filter(None, (pruned.held, *pruned.failures)):
            logger.warning("Pruning: %s", why)


def _decide(now: datetime, allow: int, *, is_retried: bool) -> PruneResult:
    good = list(Backup.objects.good().exclude(snapshot_at=None))
    whole = set(Copy.objects.filter(state=CopyState.GOOD).values_list("backup_id", flat=True))
    kept = retention.keepers(good, whole=whole, now=now)
    pruned = PruneResult(backups=[b for b in good if b.pk not in kept], kept=kept)
    pruned.held = _why_held(len(pruned.backups), len(good), allow, now)
    if pruned.held:
        kept |= {backup.pk: "held back" for backup in pruned.backups}
        pruned.backups = []
    going = _unneeded(kept, is_retried=is_retried)
    pruned.files, pruned.file_bytes = going.aggregate(
        n=Count("pk"), size=Sum("size", default=0)
    ).values()
    return pruned


def _why_held(going: int, good: int, allow: int, now: datetime) -> str:
    """Return why so many may not go at this time; empty where they may.

    A clock that runs ahead makes everything old, so no one clock is believed alone; and where the
    database is on the same machine, its share tells.
    """
    if not going:
        return ""
    Lease.objects.get_or_create(name=leases.BACKUP)
    theirs = Lease.objects.annotate(at=Now()).values_list("at", flat=True)[0]
    if abs(now - theirs) > SKEW:
        apart = duration(abs(now - theirs).total_seconds())
        return f"This machine's clock and the database's are {apart} apart; no backup was pruned."
    if going > max(FEW, allow, good * settings.prune_percent // 100):
        return (
            f"{going} of {good} backups would go at once, and none was pruned. Is it really "
            f"{now:%Y-%m-%d %H:%M} UTC? Then run: manage.py backup_prune --allow {going}"
        )
    return ""


def _retire(backup: Backup, now: datetime) -> None:
    """Take it off the list of good ones before its first byte goes."""
    if Backup.objects.filter(pk=backup.pk, state=State.GOOD).update(state=State.PRUNED):
        told = {"folder": backup.folder, "bytes": backup.size_bytes}
        backup.emit(events.BACKUP_PRUNED, now=now, **told)


def _delete_copies(sweep: Sweep) -> None:
    left = Copy.objects.filter(backup__state=State.PRUNED, state__in=HOLDING)
    for copy in left.select_related("backup"):
        deletion = methodcaller("delete_folder", copy.backup.folder)
        if sweep.delete(copy.target, deletion, of_files=False):
            Copy.objects.filter(pk=copy.pk).update(state=CopyState.PRUNED)


def _unneeded(kept: Iterable[uuid.UUID], *, is_retried: bool) -> QuerySet[StoredFile]:
    """Return the files in whose time of use lies no snapshot of a kept backup that holds files."""
    counting = Q(state=State.GOOD, pk__in=kept)
    again = Backup.objects.exclude(slot=None).order_by("-slot").first() if is_retried else None
    if again is not None and again.state == State.FAILED and again.attempts < settings.attempts:
        counting |= Q(pk=again.pk)
    time_of_use = (OuterRef("first_used_at"), OuterRef("last_used_at"))
    needing = Backup.objects.filter(counting, snapshot_at__range=time_of_use)
    return StoredFile.objects.exclude(Exists(needing.exclude(content=Content.DATABASE)))


def _delete_files(pruned: PruneResult, sweep: Sweep, *, is_retried: bool) -> None:
    pruned.files = pruned.file_bytes = 0
    for row in _unneeded(pruned.kept, is_retried=is_retried):
        deletion = methodcaller("delete", row.name)
        if all(sweep.delete(alias, deletion) for alias in (*row.targets, *row.lost)):
            row.delete()
            pruned.files += 1
            pruned.file_bytes += row.size


def forget_target(alias: str, *, now: datetime) -> int:
    """Give up every copy on a target that is no longer configured; returns how many.

    Nothing is deleted there. Backups that have no other copy are pruned.
    """
    if alias in settings.targets:
        raise BackupsRefusal(f"{alias!r} is in use. Take it out of BACKUPS_TARGETS first.")
    with leases.hold(leases.BACKUP, now=now):
        copies = Copy.objects.filter(target=alias).exclude(state=CopyState.PRUNED)
        count = copies.update(state=CopyState.PRUNED, failure="Its target was given up.")
        if not count:
            raise BackupNotFound(f"No backup has a copy on {alias[:64]!r}.")
        of_it = Backup.objects.filter(copies__target=alias)
        Backup.objects.filter(pk__in=of_it.exclude(copies__state=CopyState.DAMAGED)).update(
            damage=""
        )
        for backup in of_it.good().exclude(copies__state__in=HOLDING):
            _retire(backup, now)
        for row in StoredFile.objects.order_by("pk").iterator():
            row.give_up(alias)
    emit(events.TARGET_FORGOTTEN, target=f"target:{alias}", data={"copies": count}, now=now)
    return count
