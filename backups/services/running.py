"""What backups and drills have in common: one at a time, under a lease, and an end in the row."""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from django.db import DatabaseError, IntegrityError, InterfaceError, transaction
from django.utils import timezone

from backups import events, leases
from backups.conf import settings
from backups.errors import BackupNotFound
from backups.models import State
from backups.models.run import LONGEST_FAILURE, Run, RunQuerySet
from garrison.errors import Refusal

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from backups.leases import HeldLease
    from garrison.events import EventKind

logger = logging.getLogger("backups")
R = TypeVar("R", bound=Run)
FAILED = {leases.BACKUP: events.BACKUP_FAILED, leases.DRILL: events.DRILL_FAILED}


def queue_slot(failed: RunQuerySet[R], slot: datetime, request: Callable[[], R]) -> R | None:
    """Queue the run of a slot unless it is there.

    Two schedulers may call this at once: the database lets one row into a slot. A run that is among
    those that have ``failed`` is queued again until it was tried ``BACKUPS_ATTEMPTS`` times.
    """
    if not failed.model._default_manager.filter(slot=slot).exists():
        # Looked up first, or each tick would leave an error in PostgreSQL's log.
        with suppress(IntegrityError), transaction.atomic():
            return request()
    of_slot = failed.filter(slot=slot)
    again = of_slot.filter(state=State.FAILED, attempts__lt=settings.attempts)
    return of_slot.get() if again.update(state=State.QUEUED) else None


@contextmanager
def claimed(
    runs: RunQuerySet[R],
    run_id: uuid.UUID,
    *,
    lease: str,
    clean_up: Callable[[], object],
    now: datetime,
) -> Iterator[tuple[R, HeldLease]]:
    """Hold the lease and a queued run for a block, whose failure is recorded and emitted.

    Runs whose lease was taken over are failed first, and what they have left is cleaned up. Refuses
    while another run holds the lease, and a run that is not queued.
    """
    with leases.hold(lease, now=now) as held:
        declare_dead(runs, held, now=now)
        clean_up()
        if not runs.claim(run_id, owner=held.owner, fence=held.fence, now=now):
            raise BackupNotFound(f"There is no {lease} {run_id} that is queued.")
        run = runs.get(pk=run_id)
        try:
            yield run, held
        except BaseException as failure:
            _record_failure(runs, run, held, failure, kind=FAILED[lease])
            raise
        run.refresh_from_db()


def declare_dead(runs: RunQuerySet[R], held: HeldLease, *, now: datetime) -> None:
    """Fail the runs whose lease ``held`` took over."""
    for dead in runs.declare_dead(now=now, except_owner=held.owner):
        dead.emit(events.LEASE_EXPIRED, fence=dead.fence, now=now)


def _record_failure(
    runs: RunQuerySet[R], run: R, held: HeldLease, failure: BaseException, *, kind: EventKind
) -> None:
    """Fail the row if it is still ours; a run that was taken over changes nothing."""
    why = failure.detail if isinstance(failure, Refusal) else _short(failure)
    try:
        is_ours = runs.change(
            run.pk,
            owner=held.owner,
            state=State.FAILED,
            ended_at=timezone.now(),
            failure=why.replace("\0", "")[:LONGEST_FAILURE],
        )
    except (DatabaseError, InterfaceError):
        # The database itself has gone; the next holder of the lease declares this run dead.
        logger.exception("The failure of %s %s could not be recorded.", held.name, run.pk)
    else:
        if is_ours:
            run.emit(kind, why=why)


def _short(failure: BaseException) -> str:
    """Name what was raised. Not its text: a driver's message may quote rows."""
    if isinstance(failure, OSError):
        return f"{type(failure).__name__}: {failure.strerror or 'no reason given'}"
    return f"The run ended with {type(failure).__name__}."
