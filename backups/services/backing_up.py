"""Asking for a backup, and making it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, IntegrityError, InterfaceError, transaction
from django.utils import timezone

from backups import creation, deletions, events, leases, slots
from backups.conf import settings
from backups.errors import BackupBusy, BackupNotFound, LeaseLost
from backups.models import Backup, Copy, State
from backups.models.backup import Content, Kind
from backups.models.copy import CopyState
from backups.models.run import LONGEST_FAILURE
from garrison.errors import Refusal
from garrison.events import emit

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable
    from datetime import datetime

    from backups.leases import Held

logger = logging.getLogger("backups")


def _no_progress(stage: str, done: int, expected: int) -> None:
    """Tell nobody."""


def ask_for_backup(
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
        emit(
            events.BACKUP_REQUESTED,
            actor=user,
            target=f"backup:{backup.pk}",
            data={"kind": str(kind), "content": str(content)},
            now=now,
        )
    return backup


def queue_due(*, now: datetime) -> Backup | None:
    """Queue the latest night's backup unless it is there; a missed night is caught up so.

    Two schedulers may call this at once: the database lets one row into a slot. A night whose
    backup failed is queued again until it was tried ``BACKUPS_ATTEMPTS`` times.
    """
    zone = timezone.get_default_timezone()
    slot = slots.latest_daily(now=now, hour=settings.hour, zone=zone)
    try:
        with transaction.atomic():
            return ask_for_backup(kind=Kind.SCHEDULED, slot=slot, now=now)
    except IntegrityError:
        failed = Backup.objects.filter(slot=slot, state=State.FAILED)
        again = failed.filter(attempts__lt=settings.attempts)
        return Backup.objects.get(slot=slot) if again.update(state=State.QUEUED) else None


def run_queued(*, now: datetime) -> Backup | None:
    """Make the oldest queued backup; gives ``None`` where there is none or a run goes on."""
    queued = Backup.objects.filter(state=State.QUEUED).order_by("queued_at").first()
    if queued is None:
        return None
    try:
        return run_backup(backup_id=queued.pk, now=now)
    except BackupBusy:
        return None


def backup_now(
    *,
    kind: str = Kind.REQUESTED,
    content: str = Content.ALL,
    user: Any = None,
    now: datetime,
    on_progress: Callable[[str, int, int], None] = _no_progress,
) -> Backup:
    """Ask for a backup and make it here."""
    backup = ask_for_backup(kind=kind, content=content, user=user, now=now)
    return run_backup(backup_id=backup.pk, now=now, on_progress=on_progress)


def run_backup(
    *,
    backup_id: uuid.UUID,
    now: datetime,
    clock: Callable[[], datetime] = timezone.now,
    on_progress: Callable[[str, int, int], None] = _no_progress,
) -> Backup:
    """Make one queued backup under the lease.

    Refuses while another run holds the lease, and a backup that is not queued. Whatever goes wrong
    leaves a failed row with a sentence, no file, and an event; the older backups stay as they are.
    """
    with leases.hold(leases.BACKUP, now=now) as held:
        declare_dead(held=held, now=now)
        creation.sweep()
        if not Backup.objects.claim(backup_id, owner=held.owner, fence=held.fence, now=now):
            raise BackupNotFound(f"Backup {backup_id} is not waiting to be made.")
        backup = Backup.objects.get(pk=backup_id)
        _make(backup, held, clock, on_progress)
    deletions.carry_out(now=clock())
    backup.refresh_from_db()
    return backup


def declare_dead(*, held: Held, now: datetime) -> None:
    """Fail the runs whose lease we have taken over."""
    for run in Backup.objects.declare_dead(now=now, except_owner=held.owner):
        emit(events.LEASE_EXPIRED, target=f"backup:{run.pk}", data={"fence": run.fence}, now=now)


def _make(
    backup: Backup,
    held: Held,
    clock: Callable[[], datetime],
    on_progress: Callable[[str, int, int], None],
) -> None:
    folder = creation.folder_of(backup, at=clock())
    Backup.objects.change(backup.pk, owner=held.owner, folder=folder)
    backup.refresh_from_db()
    work = creation.Creation(backup, held, clock, on_progress)
    try:
        work.run()
    except BaseException as failure:
        _record_failure(backup, held, failure, at=clock())
        raise
    for alias, told in work.failures.items():
        emit(events.COPY_FAILED, target=f"backup:{backup.pk}", data={"target": alias, "why": told})
    emit(
        events.BACKUP_CREATED,
        target=f"backup:{backup.pk}",
        data={"folder": folder, "bytes": work.sent, "copies": _copies(backup)},
    )


def _copies(backup: Backup) -> dict[str, str]:
    return dict(Copy.objects.filter(backup=backup).values_list("target", "state"))


def _record_failure(backup: Backup, held: Held, failure: BaseException, *, at: datetime) -> None:
    """Fail the row if it is still ours; a run that lost its lease changes nothing."""
    sentence = failure.detail if isinstance(failure, Refusal) else _short(failure)
    try:
        failed = Backup.objects.change(
            backup.pk,
            owner=held.owner,
            state=State.FAILED,
            ended_at=at,
            failure=sentence.replace("\0", "")[:LONGEST_FAILURE],
        )
        Copy.objects.filter(backup=backup, state=CopyState.WRITING).update(state=CopyState.FAILED)
        if failed and not isinstance(failure, LeaseLost):
            emit(events.BACKUP_FAILED, target=f"backup:{backup.pk}", data={"why": sentence})
    except (DatabaseError, InterfaceError):
        # The database itself has gone; the next holder of the lease declares this run dead.
        logger.exception("The failure of backup %s could not be recorded.", backup.pk)


def _short(failure: BaseException) -> str:
    """Name what was raised. Not its text: a driver's message may quote rows."""
    if isinstance(failure, OSError):
        return f"{type(failure).__name__}: {failure.strerror or 'no reason given'}"
    return f"The run ended with {type(failure).__name__}."
