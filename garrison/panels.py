"""The registry of panels and figures on the security dashboard.

An app brings a ``panels.py`` that registers them; it is found as Django finds ``admin.py``.
The dashboard itself lives in ``security_monitoring``; without it, nothing here is shown.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from garrison.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time a panel speaks of: ``start`` ≤ t < ``end``, drawn in steps of ``step``."""

    slug: str
    label: str
    start: datetime
    end: datetime
    step: timedelta


SPANS: dict[str, tuple[str, timedelta, timedelta]] = {
    "1h": ("last hour", timedelta(hours=1), timedelta(minutes=2)),
    "24h": ("last 24 hours", timedelta(hours=24), timedelta(minutes=30)),
    "7d": ("last 7 days", timedelta(days=7), timedelta(hours=4)),
    "30d": ("last 30 days", timedelta(days=30), timedelta(hours=12)),
}
DEFAULT_SPAN = "24h"


def window(slug: str, *, now: datetime) -> Window:
    """Return the window of that name ending now; an unknown name is the default, 24 h."""
    slug = slug if slug in SPANS else DEFAULT_SPAN
    label, length, step = SPANS[slug]
    return Window(slug=slug, label=label, start=now - length, end=now, step=step)


class Panel(abc.ABC):
    """One panel: what it is called, who may see it, and what its template is given.

    ``permission`` is a Django permission (``audit.view_securityevent``) that the viewer must have;
    ``width`` is in columns of twelve on a wide screen; ``order`` sorts panels, low first.
    """

    slug: ClassVar[str]
    title: ClassVar[str]
    template: ClassVar[str]
    permission: ClassVar[str]
    width: ClassVar[Literal[3, 4, 6, 8, 12]] = 6
    order: ClassVar[int] = 100

    @abc.abstractmethod
    def context(self, *, request: HttpRequest, window: Window) -> Mapping[str, Any]:
        """Get the template's variables; bounded in queries and rows, whatever the table's size."""


PANELS: Registry[type[Panel]] = Registry("panel")


def register(panel: type[Panel]) -> type[Panel]:
    """Add a panel; a class decorator."""
    return PANELS.add(panel.slug, panel)


def panels() -> list[Panel]:
    """Return every panel in the order it is shown."""
    return [panel() for panel in sorted(PANELS, key=lambda panel: (panel.order, panel.slug))]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number: a tile on the dashboard, and a member of ``GET /api/security/metrics``.

    ``name`` is part of the public contract; ``permission`` is what the viewer must have; ``link``
    names the admin page that lists what is counted; ``tone`` colours a number above zero.
    """

    name: str
    label: str
    permission: str
    count: Callable[[Window], int]
    link: str = ""
    tone: Literal["", "warning", "critical"] = ""
    order: int = 100


FIGURES: Registry[Figure] = Registry("figure")


def figure(  # noqa: PLR0913 - a declaration reads by keyword
    name: str,
    *,
    label: str,
    permission: str,
    link: str = "",
    tone: Literal["", "warning", "critical"] = "",
    order: int = 100,
) -> Callable[[Callable[[Window], int]], Callable[[Window], int]]:
    """Add a figure; a decorator of the function that counts, in at most one bounded query."""

    def add(count: Callable[[Window], int]) -> Callable[[Window], int]:
        entry = Figure(name, label, permission, count, link, tone, order)
        FIGURES.add(name, entry, source=count)
        return count

    return add


def figures() -> list[Figure]:
    """Return every figure in the order it is shown."""
    return sorted(FIGURES, key=lambda entry: (entry.order, entry.name))
