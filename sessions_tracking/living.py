"""The one query: a session with its user, and whether both may still be used."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

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
    now: datetime,
    without: tuple[str, ...] = (),
    with_clock: bool = False,
) -> Session:
    """Return the session joined with its user, in one statement; columns ``without`` are deferred.

    ``with_clock`` also reads what time it is by the database's clock (``read_at``).

    Raises ``SessionEnded`` where the row is gone (with its user, or cleaned away), was ended, has
    lapsed, or its user is disabled; a client cannot tell which.
    """
    session = lookup(without=without, with_clock=with_clock)(session_id)
    if session is None or not session.is_alive(now=now) or not session.user.is_active:
        raise SessionEnded
    return session


def idle_expiry(session: Session, *, now: datetime) -> datetime:
    """Return the moment at which the session lapses when it is not used after ``now``."""
    is_cookie = session.kind == Session.Kind.COOKIE
    idle = {"minutes": settings.cookie_idle_minutes} if is_cookie else {"days": settings.idle_days}
    return min(now + timedelta(**idle), session.expires_at)


def note_use(session: Session, *, now: datetime) -> None:
    """Write the time and place of use, at most once a minute, by one conditional UPDATE.

    Of many requests at once only the first one writes; the others find the condition false.
    """
    interval = timedelta(seconds=settings.last_seen_seconds)
    if now - session.last_seen_at < interval:
        return
    known = context.current()
    session.last_seen_at = now
    session.idle_expires_at = idle_expiry(session, now=now)
    changes: dict[str, Any] = {"last_seen_at": now, "idle_expires_at": session.idle_expires_at}
    if known.ip:
        session.ip = changes["ip"] = known.ip
    Session.objects.filter(
        pk=session.pk, ended_at__isnull=True, last_seen_at__lte=now - interval
    ).update(**changes)
