"""Where signals and events reach the services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import SESSION_KEY

from garrison.events import listener
from sessions_tracking import cookies, events
from sessions_tracking.services import end_session, start_cookie_session
from sessions_tracking.services.refreshing import finish_refusal

if TYPE_CHECKING:
    from garrison.events import SecurityEvent

PASSWORD = ("pwd",)
_finish_refusal = listener(finish_refusal)


def begin_cookie_session(request: Any, user: Any, **_: Any) -> None:
    """Give a browser that has just signed in its row; the row it had before is over.

    A sign-in that sends Django's signal without Django's session, as one for tokens may, is not
    ours. ``request.authentication_methods`` may name more than the password.
    """
    django_session = getattr(request, "session", None)
    if django_session is None or SESSION_KEY not in django_session:
        return
    earlier = django_session.get(cookies.SESSION_ID) or _tracked(request)
    if earlier:
        end_session(session_id=earlier, reason="replaced")
    methods = getattr(request, "authentication_methods", PASSWORD)
    start_cookie_session(user=user, django_session=django_session, amr=methods)


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


def _tracked(request: Any) -> str | None:
    session = getattr(request, "tracked_session", None)
    return str(session.pk) if session else None
