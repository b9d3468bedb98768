"""The registry of health checks.

An app brings a ``health.py`` that registers its checks; ``/health/ready`` runs the ones a request
cannot be served without, and the staff's health report runs all.
"""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from django.utils import timezone

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

logger = logging.getLogger("garrison.health")


class Status(enum.StrEnum):
    """The state of one check, or of the whole: the worst of its parts."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


_BADNESS = (Status.HEALTHY, Status.DEGRADED, Status.UNHEALTHY)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found; ``detail`` is a sentence for an operator and holds no secret."""

    status: Status
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """A finding with the name of its check and the time it was made."""

    name: str
    status: Status
    detail: str
    checked_at: datetime


class Check(Protocol):
    """A function without arguments that looks and tells; it must return within about a second."""

    def __call__(self) -> CheckResult:
        """Look, and tell."""


@dataclass(frozen=True, slots=True)
class _Registered:
    check: Check
    needed_to_serve: bool


_checks: dict[str, _Registered] = {}


def register(name: str, *, needed_to_serve: bool = False) -> Callable[[Check], Check]:
    """Add a check under a name; a decorator.

    ``needed_to_serve=True`` makes an unhealthy answer take the server out of rotation
    (``/health/ready`` says 503); leave it off for anything the site can live without.
    """

    def add(check: Check) -> Check:
        _checks[name] = _Registered(check, needed_to_serve)
        return check

    return add


def run(*, only_needed_to_serve: bool = False) -> list[Result]:
    """Run the checks, each guarded: one that raises is unhealthy, and the others still run."""
    return [
        _run_one(name, entry.check)
        for name, entry in sorted(_checks.items())
        if entry.needed_to_serve or not only_needed_to_serve
    ]


def _run_one(name: str, check: Check) -> Result:
    try:
        finding = check()
    except Exception as failure:
        logger.exception("Health check %s failed.", name)
        # The class only: a driver's message may hold an address or a user name.
        finding = CheckResult(Status.UNHEALTHY, f"The check failed with {type(failure).__name__}.")
    return Result(name, finding.status, finding.detail, timezone.now())


def worst(results: list[Result]) -> Status:
    """Return the state of the whole; nothing checked is healthy."""
    return max((r.status for r in results), key=_BADNESS.index, default=Status.HEALTHY)
