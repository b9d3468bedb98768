"""Ending sessions; each takes effect on the session's next request."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from garrison import events as garrison_events
from sessions_tracking import cookies, events
from sessions_tracking.conf import settings
from sessions_tracking.models import LONGEST_REASON, Session

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sessions_tracking.models import SessionQuerySet

OUT_OF_STEP = "refresh_out_of_step"
EXCESS = "too_many_sessions"
BATCH_ROWS = 1000
NOBODY = uuid.UUID(int=0)  # the id of no session


def end_session(*, session_id: uuid.UUID | str, reason: str, now: datetime | None = None) -> bool:
    """End one session; tell whether it was this call that ended it.

    An unknown, malformed or already ended id is ``False``, never an error. A cookie session's
    Django session is deleted once the change has been committed.
    """
    key = as_uuid(session_id)
    if key is None:
        return False
    with transaction.atomic():
        ended = _end(Session.objects.filter(pk=key), reason=reason, now=now or timezone.now())
        for session in ended:
            garrison_events.emit(
                events.SESSION_ENDED,
                target=f"session:{session.pk}",
                data={"reason": reason, "user_id": str(session.user_id), "kind": session.kind},
            )
    return bool(ended)


def end_sessions(
    *,
    user: Any,
    reason: str,
    except_session_id: uuid.UUID | str | None = None,
    now: datetime | None = None,
) -> int:
    """End every session of a user, or every other one; give how many were ended.

    Call it when a password has changed, a second factor was removed, or an account was taken over.
    """
    sessions = Session.objects.of_user(user)
    spared = as_uuid(except_session_id)
    if spared is not None:
        sessions = sessions.exclude(pk=spared)
    return _end_many(
        sessions,
        target=f"user:{user.pk}",
        data={"reason": reason, "kept": str(spared) if spared else None},
        now=now or timezone.now(),
    )


def end_all_sessions(*, reason: str, now: datetime | None = None) -> int:
    """End every session of everybody, in batches; give how many were ended.

    For the day a signing key or the database has leaked. Each batch commits on its own, so a large
    site is not locked for the length of it.
    """
    now = now or timezone.now()
    total = 0
    while keys := list(
        Session.objects.filter(ended_at__isnull=True, expires_at__gt=now).values_list(
            "pk", flat=True
        )[:BATCH_ROWS]
    ):
        batch = Session.objects.filter(pk__in=keys)
        total += _end_many(batch, target="", data={"reason": reason, "kept": None}, now=now)
    return total


def end_excess_sessions(*, newest: Session, now: datetime) -> int:
    """End the sessions unused for longest where a user has more than ``SESSIONS_MOST_PER_USER``.

    First those that were not used in the last minute, then those that were never used at all since
    their sign-in: uses are noted at first and then once a minute, by the database's clock, so none
    that is in use goes before an idle one. One statement while there is nothing to end, so that a
    sign-in stays cheap.
    """
    others = Session.objects.alive(now=now).filter(user_id=newest.user_id).exclude(pk=newest.pk)
    ranked = others.annotate(busy=_busy()).order_by("-busy", "-last_seen_at")
    excess = ranked.values("pk")[settings.most_per_user - 1 :]
    running = Session.objects.filter(pk__in=excess, ended_at__isnull=True)
    ended = running.update(ended_at=now, end_reason=EXCESS)
    if ended:
        data = {"reason": EXCESS, "count": ended, "kept": str(newest.pk)}
        garrison_events.emit(events.SESSIONS_ENDED, target=f"user:{newest.user_id}", data=data)
    return ended


def _busy() -> Case:
    """Rank a session: 0 where it is idle, 1 where it is new, 2 where it is in use."""
    a_minute_ago = Now() - timedelta(seconds=settings.last_seen_seconds)
    idle = When(last_seen_at__lte=a_minute_ago, then=Value(0))
    return Case(idle, When(last_seen_at=F("created_at"), then=Value(1)), default=Value(2))


def end_stolen_session(*, session_id: uuid.UUID, reason: str, now: datetime) -> bool:
    """End a session whose refresh token is in two hands; tell whether it was this call that did.

    One conditional UPDATE, and no event: the refusal that led here is the event.
    """
    alive = Session.objects.filter(pk=session_id, ended_at__isnull=True)
    return bool(alive.update(ended_at=now, end_reason=reason))


def clean_sessions(
    *, older_than: datetime | None = None, dry_run: bool = False, batch_rows: int = BATCH_ROWS
) -> int:
    """Delete the rows of sessions that were over before that moment, in batches; give the number.

    Without a moment, it is ``SESSIONS_KEEP_ENDED_DAYS`` ago.
    Each batch commits on its own; several runs at once do no harm.
    """
    kept = timedelta(days=settings.keep_ended_days)
    over = Session.objects.over_since(older_than or timezone.now() - kept)
    if dry_run:
        return over.count()
    total = 0
    while keys := list(over.values_list("pk", flat=True)[:batch_rows]):
        deleted, _ = Session.objects.filter(pk__in=keys).delete()
        total += deleted
    return total


def _end_many(
    sessions: SessionQuerySet, *, target: str, data: dict[str, Any], now: datetime
) -> int:
    with transaction.atomic():
        ended = _end(sessions, reason=data["reason"], now=now)
        count = sum(session.is_alive(now=now) for session in ended)
        if count:
            garrison_events.emit(
                events.SESSIONS_ENDED, target=target, data={**data, "count": count}
            )
    return count


def _end(sessions: SessionQuerySet, *, reason: str, now: datetime) -> list[Session]:
    """End the rows under lock, and give them as they were.

    Lapsed ones are ended too, lest a clock that is set back revive them.
    """
    running = sessions.filter(ended_at__isnull=True).order_by("pk").select_for_update()
    rows = list(running)
    keys = [session.pk for session in rows]
    if keys:
        Session.objects.filter(pk__in=keys).update(ended_at=now, end_reason=_checked_reason(reason))
    _forget_cookies(rows)
    return rows


def _forget_cookies(rows: Iterable[Session]) -> None:
    """Delete Django's sessions once the change is committed.

    The rows decide; a store that is down now is logged and keeps nobody signed in.
    """
    browsers = [session for session in rows if session.kind == Session.Kind.COOKIE]

    def forget() -> None:  # Django names it in its log, which a partial would not survive
        for session in browsers:
            cookies.forget(session)

    if browsers:
        transaction.on_commit(forget, robust=True)


def _checked_reason(reason: str) -> str:
    if not reason or len(reason) > LONGEST_REASON or not reason.isprintable():
        raise ValueError(
            f"The reason {reason!r} will not do; 1 to {LONGEST_REASON} printable characters are "
            "needed."
        )
    return reason


def as_uuid(value: uuid.UUID | str | None) -> uuid.UUID | None:
    """Read a session's id; what is no UUID names no session."""
    if value is None or isinstance(value, uuid.UUID):
        return value
    try:
        return uuid.UUID(value)
    except (ValueError, AttributeError):
        return None
