"""Whether somebody has proved who they are only minutes ago (ASVS 5.0 V7.5.1, V7.5.3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from garrison import events as garrison_events
from sessions_tracking import events
from sessions_tracking.errors import ReauthenticationRequired, SessionEnded
from sessions_tracking.models import Session
from sessions_tracking.services.ending import NOBODY, as_uuid
from sessions_tracking.services.starting import checked_methods

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from django.http import HttpRequest

FRESH_SECONDS = 600


def require_fresh(
    *,
    session_id: uuid.UUID | str,
    within_seconds: int = FRESH_SECONDS,
    now: datetime | None = None,
) -> None:
    """Let pass only where the session's user proved who they are within so many seconds.

    Raises ``ReauthenticationRequired`` otherwise, also for a session that is unknown or over.
    """
    now = now or timezone.now()
    alive = Session.objects.alive(now=now).filter(pk=as_uuid(session_id) or NOBODY)
    authenticated_at = alive.values_list("authenticated_at", flat=True).first()
    _require_recent(authenticated_at, within_seconds=within_seconds, now=now)


def require_fresh_request(request: HttpRequest, *, within_seconds: int = FRESH_SECONDS) -> None:
    """Let pass only where the request's own session is fresh; for dotted paths in settings.

    Takes Django's request or REST framework's, with a token or with a cookie. Costs no statement
    where authentication has loaded the session in this request.
    """
    session = current_session(request)
    authenticated_at = session.authenticated_at if session else None
    _require_recent(authenticated_at, within_seconds=within_seconds, now=timezone.now())


def _require_recent(at: datetime | None, *, within_seconds: int, now: datetime) -> None:
    # In both directions: a clock that was set back must not make an old proof look new.
    if at is None or abs(now - at) > timedelta(seconds=within_seconds):
        raise ReauthenticationRequired


def current_session(request: Any) -> Session | None:
    """Return the session the request was authenticated by, or ``None``."""
    by_token = getattr(getattr(request, "auth", None), "session", None)
    if isinstance(by_token, Session):
        return by_token
    plain = getattr(request, "_request", request)
    bool(getattr(plain, "user", None))  # a cookie's session is looked up with its user, lazily
    by_cookie = getattr(plain, "tracked_session", None)
    return by_cookie if isinstance(by_cookie, Session) else None


def mark_reauthenticated(
    *,
    session_id: uuid.UUID | str,
    amr: Sequence[str] = (),
    now: datetime | None = None,
) -> None:
    """Note that the session's user has just proved again who they are; it counts as fresh from now.

    ``amr`` adds the methods that were used. Raises ``SessionEnded`` where the session is over.
    """
    now = now or timezone.now()
    with transaction.atomic():
        alive = Session.objects.alive(now=now).select_for_update()
        session = alive.filter(pk=as_uuid(session_id) or NOBODY).first()
        if session is None:
            raise SessionEnded
        session.authenticated_at = now
        session.amr = list(dict.fromkeys([*session.amr, *checked_methods(amr)]))
        session.save(update_fields=["authenticated_at", "amr"])
        garrison_events.emit(
            events.SESSION_REAUTHENTICATED,
            target=f"session:{session.pk}",
            data={"user_id": str(session.user_id), "methods": list(amr)},
        )
