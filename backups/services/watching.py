"""The status of backups, and its events: missed backups, overdue drills, a key nearly lost.

A condition is emitted when it begins and once a day while it lasts; its end is an event too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Count, Max, Min, Q

from backups import events, point_in_time
from backups.conf import settings
from backups.models import Backup, Drill, Lease, State
from backups.times import SKEW
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

    from garrison.events import EventKind

REPEAT_HOURS = 24


@dataclass(frozen=True, slots=True)
class BackupStatus:
    """The times everything else is judged by; ``None`` where it never happened.

    Before the first good backup the limit runs from the installation, so that a site is not
    overdue in its first hours.
    """

    newest_at: datetime | None
    passed_at: datetime | None
    opened_at: datetime | None
    is_backup_overdue: bool
    is_drill_overdue: bool
    is_identity_unproven: bool
    damaged: int
    indeterminate: int
    failed_copies: int
    failed_since: int  # backups that failed after the newest good one


def status(*, now: datetime) -> BackupStatus:
    """Look at the index; at most five queries of one row each."""
    newest = Backup.objects.newest_good(now=now)
    newest_at = newest.snapshot_at if newest else None
    good = Q(state=State.GOOD)
    seen = Backup.objects.aggregate(
        first_at=Min("snapshot_at", filter=good),
        opened_at=Max("opened_at", filter=Q(opened_at__lte=now + SKEW)),
        damaged=Count("pk", filter=good & ~Q(damage="")),
        indeterminate=Count("pk", filter=good & ~Q(indeterminate="")),
    )
    passed = Drill.objects.good().filter(ended_at__lte=now + SKEW)
    passed_at = passed.aggregate(at=Max("ended_at"))["at"]
    failed = Backup.objects.filter(state=State.FAILED)
    backup_limit = timedelta(hours=settings.overdue_hours)
    drill_limit = timedelta(days=settings.drill_overdue_days)
    identity_limit = timedelta(days=settings.identity_unproven_days)
    return BackupStatus(
        newest_at=newest_at,
        passed_at=passed_at,
        opened_at=seen["opened_at"],
        is_backup_overdue=_is_older(newest_at or _installed_at(), backup_limit, now),
        is_drill_overdue=_is_older(passed_at or seen["first_at"], drill_limit, now),
        is_identity_unproven=bool(newest and newest.recipients)
        and _is_older(seen["opened_at"] or seen["first_at"], identity_limit, now),
        damaged=seen["damaged"],
        indeterminate=seen["indeterminate"],
        failed_copies=newest.copies.exclude(state="good").count() if newest else 0,
        failed_since=(failed.filter(queued_at__gt=newest.queued_at) if newest else failed).count(),
    )


def _installed_at() -> datetime | None:
    """Return when the tables of this app were made; ``None`` where no migration made them."""
    applied = MigrationRecorder.Migration.objects.using(Backup.objects.db).filter(app="backups")
    first: datetime | None = applied.aggregate(at=Min("applied"))["at"]
    return first


def _is_older(at: datetime | None, limit: timedelta, now: datetime) -> bool:
    """Return whether it is too long ago, or at a time that has not come: a clock was wrong."""
    return at is None or not -SKEW <= now - at <= limit


def check_backups(*, now: datetime) -> list[str]:
    """Emit what began, lasts another day or ended, once over all processes; returns the kinds."""
    found, other = status(now=now), point_in_time.look(now=now)
    problem = other.problem if other else ""
    newest_at = found.newest_at.isoformat() if found.newest_at else None
    no_drill = found.is_drill_overdue and newest_at is not None
    drill_limit = {"limit_days": settings.drill_overdue_days}
    identity_limit = {"limit_days": settings.identity_unproven_days}
    due: list[tuple[bool, EventKind, dict[str, Any]]] = [
        (found.is_backup_overdue, events.BACKUP_MISSED, {"newest": newest_at}),
        (no_drill, events.DRILL_MISSED, drill_limit),
        (found.is_identity_unproven, events.IDENTITY_UNPROVEN, identity_limit),
        (bool(problem), events.POINT_IN_TIME_FAILED, {"why": problem}),
    ]
    emitted = []
    for is_due, kind, data in due:
        notice = f"said:{kind}"
        if is_due and Lease.objects.claim_notice(notice, hours=REPEAT_HOURS, now=now):
            emit(kind, data=data, now=now)
            emitted.append(str(kind))
        elif not is_due and Lease.objects.end_notice(notice):
            emit(events.CONDITION_ENDED, data={"kind": str(kind)}, now=now)
            emitted.append(str(events.CONDITION_ENDED))
    return emitted
