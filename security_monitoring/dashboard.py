"""The dashboard: what the apps registered, as far as the viewer may see it.

A panel or a figure that fails costs its own place on the page and nothing else; panels ask about
counts freely, because equal questions of one page are asked once.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connection, transaction
from django.template.loader import get_template
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from audit import counts, rollups
from garrison import panels

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest

logger = logging.getLogger("garrison.dashboard")


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure as it is drawn; ``value`` is ``None`` where it could not be counted."""

    name: str
    label: str
    value: int | None
    tone: str
    url: str


@dataclass(frozen=True, slots=True)
class Card:
    """A panel as it is drawn; ``body`` is ``None`` where it failed."""

    panel: panels.Panel
    body: SafeString | None


def build(request: HttpRequest, *, now: datetime | None = None) -> dict[str, Any]:
    """Return the template's variables for the window that the request names; writes nothing."""
    window = panels.window(request.GET.get("window", ""), now=now or timezone.now())
    with counts.remembering():
        return {
            "request": request,
            "window": window,
            "spans": _spans(window),
            "tiles": tiles(request, window),
            "cards": cards(request, window),
            "refresh_url": _url("security_monitoring:dashboard"),
        }


def tiles(request: HttpRequest, window: panels.Window) -> list[Tile]:
    """Count every figure the viewer may see."""
    return [
        Tile(figure.name, figure.label, value, figure.tone if value else "", _url(figure.link))
        for figure, value in figures(request.user, window)
    ]


def figures(user: Any, window: panels.Window) -> list[tuple[panels.Figure, int | None]]:
    """Return every figure the user may see with its number, or ``None`` where counting failed."""
    return [
        (figure, _count(figure, window))
        for figure in panels.figures()
        if user.has_perm(figure.permission)
    ]


def cards(request: HttpRequest, window: panels.Window) -> list[Card]:
    """Draw every panel the viewer may see."""
    return [
        Card(panel, _draw(panel, request, window))
        for panel in panels.panels()
        if request.user.has_perm(panel.permission)
    ]


def _count(figure: panels.Figure, window: panels.Window) -> int | None:
    try:
        with _guarded():
            return figure.count(window)
    except Exception:
        logger.exception("The figure %s could not be counted.", figure.name)
        return None


def _draw(panel: panels.Panel, request: HttpRequest, window: panels.Window) -> SafeString | None:
    try:
        with _guarded():
            context = panel.context(request=request, window=window)
            template = get_template(panel.template)
            body = template.render({**context, "panel": panel, "window": window}, request)
            return SafeString(body)  # a template's output is escaped already
    except Exception:
        logger.exception("The panel %s could not be drawn.", panel.slug)
        return None


def _guarded() -> AbstractContextManager[Any]:
    """Keep a failed query from poisoning the page's transaction, where there is one."""
    return transaction.atomic() if connection.in_atomic_block else nullcontext()


def keep_up() -> None:
    """Count what nobody else has, when the page is opened: a site may have no Celery."""
    try:
        with _guarded():
            rollups.keep_up(now=timezone.now())
    except DatabaseError:  # a read-only replica, for one: the page shows what is counted
        logger.exception("Events could not be counted for the dashboard.")


def _spans(window: panels.Window) -> list[dict[str, Any]]:
    return [
        {"slug": slug, "label": label, "is_current": slug == window.slug}
        for slug, (label, *_) in panels.SPANS.items()
    ]


def _url(name: str) -> str:
    try:
        return reverse(name) if name else ""
    except NoReverseMatch:  # a host that does not mount it
        return ""
