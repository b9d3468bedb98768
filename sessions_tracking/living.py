"""The one query: a session with its user, and whether both may still be used."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import F, Q

from garrison import context
from sessions_tracking.compiled import lookup
from sessions_tracking.conf import settings
from sessions_tracking.errors import SessionEnded
from sessions_tracking.models import Session

if TYPE_CHECKING:
    import uuid
    from datetime import datetime


def living_session(
    *,
    session_id: uuid.UUID,
    now: datetime | None = None,
    without: tuple[str, ...] = (),
) -> Session:
    """Return the session joined with its user, in one statement; columns ``without`` are deferred.

    What time it is the database says in the same statement, unless ``now`` is given: ``read_at``.

    Raises ``SessionEnded`` where the row is gone (with its user, or cleaned away), was ended, has
    lapsed, or its user is disabled; a client cannot tell which.
    """
    session = lookup(without=without)(session_id)
    if session is None or not session.user.is_active:
        raise SessionEnded
    session.read_at = now or session.read_at
    if not session.is_alive(now=session.read_at):
        raise SessionEnded
    return session


def idle_expiry(session: Session, *, now: datetime) -> datetime:
    """Return the moment at which the session lapses when it is not used after ``now``."""
    is_cookie = session.kind == Session.Kind.COOKIE
    idle = {"minutes": settings.cookie_idle_minutes} if is_cookie else {"days": settings.idle_days}
    return min(now + timedelta(**idle), session.expires_at)


def note_use(session: Session) -> None:
    """Write the time and place of use, at first and then once a minute, by one conditional UPDATE.

    Of many requests at once only the first one writes; the others find the condition false. Time is
    the row's ``read_at``, one clock for all servers, and the first use is noted at once: by both,
    the cap on sessions tells one that is in use from one that is not.
    """
    now, interval = session.read_at, timedelta(seconds=settings.last_seen_seconds)
    if now - session.last_seen_at < interval and session.last_seen_at != session.created_at:
        return
    known = context.current()
    session.last_seen_at = now
    session.idle_expires_at = idle_expiry(session, now=now)
    changes: dict[str, Any] = {"last_seen_at": now, "idle_expires_at": session.idle_expires_at}
    if known.ip:
        session.ip = changes["ip"] = known.ip
    due = Q(last_seen_at__lte=now - interval) | Q(last_seen_at=F("created_at"))
    Session.objects.filter(due, pk=session.pk, ended_at__isnull=True).update(**changes)
