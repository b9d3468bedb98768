"""Where signals and events reach the services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import SESSION_KEY

from garrison.events import listener
from sessions_tracking import browsers, cookies, events
from sessions_tracking.services import end_session
from sessions_tracking.services.refreshing import finish_refusal

if TYPE_CHECKING:
    from garrison.events import SecurityEvent

_finish_refusal = listener(finish_refusal)


def begin_cookie_session(request: Any, user: Any, **_: Any) -> None:
    """Return a browser that has just signed in its row.

    A sign-in that sends Django's signal but has no Django session, as one for tokens may, is not
    ours.
    """
    if SESSION_KEY in getattr(request, "session", ()):
        browsers.begin(request, user)


def end_cookie_session(request: Any, **_: Any) -> None:
    """End the row of a browser that signs out."""
    django_session = getattr(request, "session", None)
    session_id = django_session.get(cookies.SESSION_ID) if django_session is not None else None
    if session_id:
        end_session(session_id=session_id, reason="signed_out")


def end_refused_family(*, event: SecurityEvent, **_: Any) -> None:
    """End the family behind a refused refresh; every other event passes without a statement."""
    if event.kind in (events.REFRESH_REUSED, events.REFRESH_OUT_OF_STEP):
        _finish_refusal(event=event)
