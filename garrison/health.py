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

from garrison.registry import Registry

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
    """What a check returns; ``detail`` is a sentence for an operator and holds no secret."""

    status: Status
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """A result with the name of its check and the time it was made."""

    name: str
    status: Status
    detail: str
    checked_at: datetime


class Check(Protocol):
    """A function without arguments; it must return within about a second."""

    def __call__(self) -> CheckResult:
        """Check, and return the result."""


@dataclass(frozen=True, slots=True)
class _Registered:
    check: Check
    needed_to_serve: bool


CHECKS: Registry[_Registered] = Registry("health check")


def register(name: str, *, needed_to_serve: bool = False) -> Callable[[Check], Check]:
    """Add a check under a name; a decorator.

    ``needed_to_serve=True`` makes an unhealthy answer take the server out of rotation
    (``/health/ready`` says 503); leave it off for anything the site can live without.
    """

    def add(check: Check) -> Check:
        CHECKS.add(name, _Registered(check, needed_to_serve), source=check)
        return check

    return add


def run(*, only_needed_to_serve: bool = False) -> list[CheckReport]:
    """Run the checks, each guarded: one that raises is unhealthy, and the others still run."""
    return [
        _run_one(name, entry.check)
        for name, entry in CHECKS.items()
        if entry.needed_to_serve or not only_needed_to_serve
    ]


def _run_one(name: str, check: Check) -> CheckReport:
    try:
        result = check()
    except Exception as failure:
        logger.exception("Health check %s failed.", name)
        # The class only: a driver's message may hold an address or a user name.
        result = CheckResult(Status.UNHEALTHY, f"The check failed with {type(failure).__name__}.")
    return CheckReport(name, result.status, result.detail, timezone.now())


def worst(results: list[CheckReport]) -> Status:
    """Return the state of the whole; nothing checked is healthy."""
    return max((r.status for r in results), key=_BADNESS.index, default=Status.HEALTHY)
