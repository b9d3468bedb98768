"""The dashboard: what the apps registered, as far as the viewer may see it.

A panel or a figure that fails costs its own place on the page and nothing else; panels ask about
counts freely, because equal questions of one page are asked once.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
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


def build(request: HttpRequest, *, now: datetime | None = None) -> dict[str, Any]:
    """Return the template's variables for the window that the request names; writes nothing.

    A tile's value is ``None`` where it could not be counted, a card's body where it was not drawn.
    """
    window = panels.window(request.GET.get("window", ""), now=now or timezone.now())
    with counts.remembering():
        return {
            "request": request,
            "window": window,
            "spans": [{"slug": slug, "label": label} for slug, (label, *_) in panels.SPANS.items()],
            "tiles": [
                {"figure": figure, "value": value, "url": _url(figure.link)}
                for figure, value in figures(request.user, window)
            ],
            "cards": [
                {"panel": panel, "body": _draw(panel, request, window)}
                for panel in panels.panels()
                if request.user.has_perm(panel.permission)
            ],
            "refresh_url": _url("security_monitoring:dashboard"),
        }


def figures(user: Any, window: panels.Window) -> list[tuple[panels.Figure, int | None]]:
    """Return every figure the user may see with its number, or ``None`` where counting failed."""
    return [
        (figure, _count(figure, window))
        for figure in panels.figures()
        if user.has_perm(figure.permission)
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


def _url(name: str) -> str:
    try:
        return reverse(name) if name else ""
    except NoReverseMatch:  # a host that does not mount it
        return ""
