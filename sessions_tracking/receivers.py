"""Where signals and events reach the services."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import SESSION_KEY

from garrison.events import listener
from sessions_tracking import browsers, cookies, events
from sessions_tracking.services import end_session, end_sessions
from sessions_tracking.services.refreshing import finish_refusal

end_refused_family = listener(
    finish_refusal, kinds=[events.REFRESH_REUSED.name, events.REFRESH_OUT_OF_STEP.name]
)


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


def end_sessions_of_deleted(instance: Any, **_: Any) -> None:
    """End them before their rows go with the user: an event stays, and browsers are forgotten."""
    end_sessions(user=instance, reason="user_deleted")
