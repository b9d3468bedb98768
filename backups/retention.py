"""Which backups are kept, and why: a pure decision over their times."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backups.conf import settings
from backups.models.backup import Content, Kind
from backups.times import SKEW

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Container, Iterable
    from datetime import datetime

    from backups.models import Backup


def keepers(
    good: Iterable[Backup], *, whole: Container[uuid.UUID], now: datetime
) -> dict[uuid.UUID, str]:
    """Return each good backup that is kept, with the reason; every other one may go.

    The newest N ``whole`` ones are never let go, nor the last one that a drill has proven, whatever
    their age; a damaged one earns no such place, nor one stamped in the future: that one is kept
    beside them, until its time has come. Places are counted for the database and for the files, so
    that backups of one of them alone, such as before a restore, let no last one of the other go.
    """
    ordered = sorted(good, key=_at)
    sound = [b for b in ordered if b.pk in whole and _at(b) <= now + SKEW]
    kept: dict[uuid.UUID, str] = {}

    def keep(chosen: Iterable[Backup], reason: str) -> None:
        for backup in chosen:
            kept.setdefault(backup.pk, reason)

    young = now - timedelta(days=settings.retention_days)
    locked = now - timedelta(days=settings.object_lock_days)
    keep((b for b in ordered if _at(b) > young), f"younger than {settings.retention_days} days")
    keep((b for b in ordered if _at(b) > locked), "locked by its target")
    keep(_last_drilled(sound), "the last one drilled")
    for part in (Content.DATABASE, Content.FILES):
        holding = [b for b in sound if b.kind != Kind.SAFETY and b.content in {Content.ALL, part}]
        keep(holding[-settings.keep_last :], f"one of the last {settings.keep_last}")
        keep(_first_of_each(holding, _week, settings.keep_weekly), "the first of its week")
        keep(_first_of_each(holding, _month, settings.keep_monthly), "the first of its month")
    return kept


def _at(backup: Backup) -> datetime:
    return backup.snapshot_at  # type: ignore[return-value]  # a good backup has one


def _last_drilled(sound: list[Backup]) -> list[Backup]:
    drilled = [(b.drilled_at, _at(b), b) for b in sound if b.drilled_at is not None]
    return [max(drilled, key=lambda found: found[:2])[-1]] if drilled else []


def _week(at: datetime) -> tuple[int, int]:
    return at.isocalendar()[:2]


def _month(at: datetime) -> tuple[int, int]:
    return at.year, at.month


def _first_of_each(
    ordered: list[Backup], period: Callable[[datetime], tuple[int, int]], count: int
) -> list[Backup]:
    """Return the first backup of each of the last ``count`` periods that have one."""
    firsts: dict[tuple[int, int], Backup] = {}
    for backup in ordered:
        firsts.setdefault(period(_at(backup)), backup)
    return list(firsts.values())[-count:] if count else []
