"""The status of backups, and its events: missed backups, overdue drills, a key nearly lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Max, Min

from backups import events
from backups.conf import settings
from backups.models import Backup, Drill, Lease
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

REPEAT_HOURS = 24


@dataclass(frozen=True, slots=True)
class BackupStatus:
    """The times everything else is judged by; ``None`` where it never happened."""

    newest: Backup | None
    last_drill: Drill | None
    last_passed: Drill | None
    last_opened_at: datetime | None
    is_backup_overdue: bool
    is_drill_overdue: bool
    is_identity_unproven: bool
    damaged: int
    failed_copies: int


def status(*, now: datetime) -> BackupStatus:
    """Look at the index; six queries of one row each."""
    newest = Backup.objects.newest_good()
    last_drill = Drill.objects.exclude(ended_at=None).order_by("-ended_at").first()
    passed = Drill.objects.good().order_by("-ended_at").first()
    opened_at = Backup.objects.aggregate(at=Max("opened_at"))["at"]
    first_at = Backup.objects.good().aggregate(at=Min("snapshot_at"))["at"]
    newest_at = newest.snapshot_at if newest else None
    passed_at = passed.ended_at if passed else None
    return BackupStatus(
        newest=newest,
        last_drill=last_drill,
        last_passed=passed,
        last_opened_at=opened_at,
        is_backup_overdue=_is_older(newest_at, timedelta(hours=settings.overdue_hours), now),
        is_drill_overdue=_is_older(
            passed_at or first_at,
            timedelta(days=settings.drill_overdue_days),
            now,
        ),
        is_identity_unproven=bool(newest and newest.recipients)
        and _is_older(opened_at or first_at, timedelta(days=settings.identity_unproven_days), now),
        damaged=Backup.objects.good().exclude(damage="").count(),
        failed_copies=newest.copies.exclude(state="good").count() if newest else 0,
    )


def _is_older(at: datetime | None, limit: timedelta, now: datetime) -> bool:
    return at is None or now - at > limit


def check_backups(*, now: datetime) -> list[str]:
    """Report what is overdue, each at most once a day over all processes; returns the kinds."""
    found = status(now=now)
    emitted = []
    newest_at = found.newest and found.newest.snapshot_at
    for is_due, kind, data in (
        (
            found.is_backup_overdue,
            events.BACKUP_MISSED,
            {"newest": newest_at.isoformat() if newest_at else None},
        ),
        (
            found.is_drill_overdue and found.newest is not None,
            events.DRILL_MISSED,
            {"limit_days": settings.drill_overdue_days},
        ),
        (
            found.is_identity_unproven,
            events.IDENTITY_UNPROVEN,
            {"limit_days": settings.identity_unproven_days},
        ),
    ):
        if is_due and Lease.objects.claim_notice(f"said:{kind}", hours=REPEAT_HOURS, now=now):
            emit(kind, data=data, now=now)
            emitted.append(str(kind))
    return emitted
