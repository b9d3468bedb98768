"""Which backups are kept, and why: a pure decision over their times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from backups.times import SKEW

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable
    from datetime import datetime


PARTS = ("database", "files")


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the decision needs to know of a good backup."""

    id: uuid.UUID
    snapshot_at: datetime
    is_whole: bool  # no verification has found damage
    drilled_at: datetime | None
    holds: tuple[str, ...] = PARTS  # what a restore can count on it for; a safety backup for none


@dataclass(frozen=True, slots=True)
class Policy:
    """How long, and how many."""

    days: int
    weekly: int
    monthly: int
    last: int
    locked_days: int = 0


def keepers(
    candidates: Iterable[Candidate], policy: Policy, *, now: datetime
) -> dict[uuid.UUID, str]:
    """Return each backup that is kept, with the reason; every other one may go.

    The newest N whole ones are never let go, nor the last one that a drill has proven, whatever
    their age; a damaged one earns no such place, nor one stamped in the future: that one is kept
    beside them, until its time has come. Places are counted for the database and for the files, so
    that backups of one of them alone, such as before a restore, let no last one of the other go.
    """
    ordered = sorted(candidates, key=lambda c: c.snapshot_at)
    whole = [c for c in ordered if c.is_whole and c.snapshot_at <= now + SKEW]
    kept: dict[uuid.UUID, str] = {}

    def keep(chosen: Iterable[Candidate], reason: str) -> None:
        for candidate in chosen:
            kept.setdefault(candidate.id, reason)

    young = now - timedelta(days=policy.days)
    locked = now - timedelta(days=policy.locked_days)
    keep((c for c in ordered if c.snapshot_at > young), f"younger than {policy.days} days")
    keep((c for c in ordered if c.snapshot_at > locked), "locked by its target")
    keep(_last_drilled(whole), "the last one drilled")
    for part in PARTS:
        holding = [c for c in whole if part in c.holds]
        keep(holding[-policy.last :], f"one of the last {policy.last}")
        keep(_first_of_each(holding, _week, policy.weekly), "the first of its week")
        keep(_first_of_each(holding, _month, policy.monthly), "the first of its month")
    return kept


def _last_drilled(whole: list[Candidate]) -> list[Candidate]:
    drilled = [c for c in whole if c.drilled_at is not None]
    return [max(drilled, key=lambda c: (c.drilled_at, c.snapshot_at))] if drilled else []


def _week(at: datetime) -> tuple[int, int]:
    return at.isocalendar()[:2]


def _month(at: datetime) -> tuple[int, int]:
    return at.year, at.month


def _first_of_each(
    whole: list[Candidate], period: Callable[[datetime], tuple[int, int]], count: int
) -> list[Candidate]:
    """Return the first backup of each of the last ``count`` periods that have one."""
    firsts: dict[tuple[int, int], Candidate] = {}
    for candidate in whole:
        firsts.setdefault(period(candidate.snapshot_at), candidate)
    return list(firsts.values())[-count:] if count else []
