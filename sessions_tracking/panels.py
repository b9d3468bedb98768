"""What sessions show on the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from garrison import panels
from sessions_tracking.models import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

VIEW = "sessions_tracking.view_session"
LIST = "admin:sessions_tracking_session_changelist"
SHOWN = 6  # rows


@panels.figure("active_sessions", label="Active sessions", permission=VIEW, link=LIST, order=40)
def active_sessions(window: panels.Window) -> int:  # noqa: ARG001 - they are active now
    """Sessions that are alive at this moment, by tokens and by cookie."""
    return Session.objects.number_alive(now=timezone.now())


@panels.register
class NewestSessions(panels.Panel):
    """Who has signed in last and still is, and whose session turned out to be in two hands."""

    slug = "sessions"
    title = "Active sessions"
    template = "sessions_tracking/panels/sessions.html"
    permission = VIEW
    width = 6
    order = 40

    def context(self, *, request: HttpRequest, window: panels.Window) -> Mapping[str, Any]:  # noqa: ARG002
        """Two queries of at most six rows each, both by an index."""
        alive = Session.objects.alive(now=timezone.now()).order_by("-created_at")
        stolen = Session.objects.stolen_since(window.start)
        return {
            "rows": alive.select_related("user")[:SHOWN],
            "stolen": stolen.select_related("user")[:SHOWN],
            "window": window,
        }
