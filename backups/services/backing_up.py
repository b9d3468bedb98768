"""Requesting a backup, and making it."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from backups import deletions, events, leases, times
from backups.conf import settings
from backups.creation import Creation
from backups.errors import BackupBusy
from backups.models import Backup, State
from backups.models.backup import Content, Kind
from backups.services import running
from backups.services.pruning import pruning_after
from backups.services.sweeping import Sweep

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable
    from datetime import datetime

    from backups.leases import HeldLease


def _ignore(_stage: str, _done: int, _expected: int) -> None:
    """Take no notice of progress."""


def request_backup(
    *,
    kind: str = Kind.REQUESTED,
    content: str = Content.ALL,
    user: Any = None,
    slot: datetime | None = None,
    now: datetime,
) -> Backup:
    """Put a backup into the queue; a worker or :func:`run_backup` makes it.

    Raises :class:`~django.db.IntegrityError` where the slot has one already.
    """
    with transaction.atomic():
        backup = Backup.objects.create(
            kind=kind, content=content, requested_by=user, slot=slot, queued_at=now
        )
        what = {"kind": str(kind), "content": str(content)}
        backup.emit(events.BACKUP_REQUESTED, actor=user, now=now, **what)
    return backup


def queue_due(*, now: datetime) -> Backup | None:
    """Queue the latest night's backup unless it is there; a missed night is caught up so."""
    zone = timezone.get_default_timezone()
    slot = times.latest_daily(now=now, hour=settings.hour, zone=zone)
    return running.queue_slot(
        Backup.objects.all(),
        slot,
        lambda: request_backup(kind=Kind.SCHEDULED, slot=slot, now=now),
    )


def run_queued(*, now: datetime) -> Backup | None:
    """Make the oldest queued backup, and prune; ``None`` where there is none or a run goes on."""
    queued = Backup.objects.filter(state=State.QUEUED).order_by("queued_at").first()
    if queued is None:
        return None
    try:
        with pruning_after():
            return run_backup(backup_id=queued.pk, now=now)
    except BackupBusy:
        return None


def backup_now(
    *,
    kind: str = Kind.REQUESTED,
    content: str = Content.ALL,
    now: datetime,
    on_progress: Callable[[str, int, int], None] = _ignore,
) -> Backup:
    """Request a backup and make it here."""
    backup = request_backup(kind=kind, content=content, now=now)
    return run_backup(backup_id=backup.pk, now=now, on_progress=on_progress)


def run_backup(
    *,
    backup_id: uuid.UUID,
    now: datetime,
    on_progress: Callable[[str, int, int], None] = _ignore,
) -> Backup:
    """Make one queued backup under the lease.

    Refuses while another run holds the lease, and a backup that is not queued. Whatever goes wrong
    leaves a failed row with a sentence, no file, and an event; the older backups stay as they are.
    """
    backups = Backup.objects.all()
    making = running.claimed(backups, backup_id, lease=leases.BACKUP, clean_up=Sweep, now=now)
    with making as (backup, held):
        _make(backup, held, on_progress)
    deletions.carry_out()
    return backup


def _make(backup: Backup, held: HeldLease, on_progress: Callable[[str, int, int], None]) -> None:
    backup.folder = _folder_of(backup, at=timezone.now())
    Backup.objects.change(backup.pk, owner=held.owner, folder=backup.folder)
    work = Creation(backup, held, on_progress)
    work.run()
    for alias, why in work.group.failures.items():
        backup.emit(events.COPY_FAILED, target=alias, why=why)
    copies = dict(backup.copies.values_list("target", "state"))
    backup.emit(events.BACKUP_CREATED, folder=backup.folder, bytes=work.sent, copies=copies)


def _folder_of(backup: Backup, *, at: datetime) -> str:
    """Name the folder of a backup: sorts by time, to the millisecond, and is unique."""
    utc = at.astimezone(UTC)
    return f"{utc:%Y%m%dT%H%M%S}{utc.microsecond // 1000:03}Z-{backup.pk.hex[:12]}"
