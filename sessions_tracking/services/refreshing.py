"""Turning one refresh token into the next pair of tokens, exactly once.

The families of RFC 9700 §4.14.2 (refresh token rotation) with two additions. A client that lost
the answer, or asks from two tabs at once, gets the *same* successor for a few seconds, so that no
second line of tokens ever exists. And nothing is stored: a token follows from the row's counter.
"""

from __future__ import annotations

import enum
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

from django.db import router, transaction

from garrison import context
from garrison import events as garrison_events
from sessions_tracking import events, notices
from sessions_tracking.compiled import ROTATION_NEEDS_NO
from sessions_tracking.conf import settings
from sessions_tracking.errors import RefreshReused, SessionEnded, TokenInvalid
from sessions_tracking.living import idle_expiry, living_session
from sessions_tracking.models import REUSED, Session
from sessions_tracking.services.ending import OUT_OF_STEP, end_stolen_session
from sessions_tracking.services.starting import TokenPair, issue_pair
from sessions_tracking.signing_keys import keyring
from sessions_tracking.tokens import SessionRefreshToken, read_refresh

if TYPE_CHECKING:
    from garrison.events import EventKind, SecurityEvent

ATTEMPTS = 2  # the second where somebody else rotated between our reading and our writing


class Verdict(enum.Enum):
    """What the counter of a genuine refresh token means for its living session."""

    ROTATE = "rotate"  # it is the present one
    REPEAT = "repeat"  # the one before, moments after it was replaced: the same answer again
    REUSED = "reused"  # it was replaced: somebody holds a copy
    OUT_OF_STEP = "out of step"  # newer than the row: the database has been set back


def judge(  # noqa: PLR0913 - the facts of one decision, by keyword
    *,
    presented: int,
    current: int,
    rotated_at: datetime,
    now: datetime,
    grace: timedelta,
    is_under_present_key: bool = True,
) -> Verdict:
    """Compare counters, and for the one before the present one the time since the rotation.

    The grace runs from the rotation and is never extended. A clock that was set back by more than
    the grace does not reopen it, while the few milliseconds by which two servers disagree are no
    theft: the distance counts, in both directions. A present counter under another key than the row
    names was never issued by us: it is the work of somebody who holds a retired key.

    >>> from datetime import datetime, timedelta
    >>> noon = datetime(2026, 1, 1, 12)
    >>> times = {"rotated_at": noon, "now": noon, "grace": timedelta(seconds=20)}
    >>> [judge(presented=n, current=7, **times).name for n in (7, 6, 5, 8)]
    ['ROTATE', 'REPEAT', 'REUSED', 'OUT_OF_STEP']
    """
    if presented == current:
        return Verdict.ROTATE if is_under_present_key else Verdict.REUSED
    if presented > current:
        return Verdict.OUT_OF_STEP
    if presented == current - 1 and abs(now - rotated_at) <= grace:
        return Verdict.REPEAT
    return Verdict.REUSED


def rotate(*, refresh_token: str, now: datetime | None = None) -> TokenPair:
    """Return the next pair of tokens; the refresh token is replaced in the same step.

    Two statements: the session joined with its user, and one conditional UPDATE that decides who of
    many rotates. Whoever comes second looks once more (the third statement) and gets the *same*
    successor, for ``SESSIONS_REFRESH_GRACE_SECONDS`` from the rotation.

    Raises ``TokenInvalid``, ``TokenExpired``, ``SessionEnded``, or ``RefreshReused`` where a
    replaced token came back later; then the session is ended and its user mailed. That survives the
    rollback of a transaction the caller may hold. A rotation is no event (see ``events.py``).

    Time is the database's unless ``now`` is given: the clocks of two servers may be further apart
    than the grace is long, and that is no theft.
    """
    token = read_refresh(refresh_token, now=now)
    for _ in range(ATTEMPTS):
        session = living_session(session_id=token.session_id, now=now, without=ROTATION_NEEDS_NO)
        at = session.read_at
        verdict = judge(
            presented=token.counter,
            current=session.counter,
            rotated_at=session.rotated_at,
            now=at,
            grace=timedelta(seconds=settings.refresh_grace_seconds),
            is_under_present_key=token.kid == session.key_id,
        )
        if verdict is Verdict.REPEAT:
            return _repeat(session, now=at)
        if verdict is not Verdict.ROTATE:
            _refuse(token, session, verdict, now=at)
        if _step(session, now=at):
            _learn(session)
            return issue_pair(session=session, now=at)
    raise SessionEnded


def _step(session: Session, *, now: datetime) -> bool:
    """Advance the row by one where nobody else has; tell whether it was us."""
    known = context.current()
    before = session.counter
    session.counter = before + 1
    session.key_id = keyring().active.kid
    session.rotated_at = session.last_seen_at = now
    session.idle_expires_at = idle_expiry(session, now=now)
    session.ip = known.ip or session.ip
    session.user_agent = known.user_agent or session.user_agent
    steps = Session.objects.filter(pk=session.pk, counter=before, ended_at__isnull=True).update(
        counter=session.counter,
        key_id=session.key_id,
        rotated_at=session.rotated_at,
        last_seen_at=session.last_seen_at,
        idle_expires_at=session.idle_expires_at,
        ip=session.ip,
        user_agent=session.user_agent,
    )
    return bool(steps)


def _repeat(session: Session, *, now: datetime) -> TokenPair:
    if session.key_id not in keyring().by_id:  # retired within the grace
        raise TokenInvalid
    _learn(session)
    return issue_pair(session=session, now=now)


def _learn(session: Session) -> None:
    context.learn(actor_id=str(session.user_id), session_id=str(session.pk))


def _refuse(
    token: SessionRefreshToken, session: Session, verdict: Verdict, *, now: datetime
) -> NoReturn:
    """End the family, and say why.

    Inside a caller's transaction the ending would be rolled back with it, so there it is left to
    the listener of the event, which runs when that transaction is over (``receivers.py``).
    """
    reused = verdict is Verdict.REUSED
    kind: EventKind = events.REFRESH_REUSED if reused else events.REFRESH_OUT_OF_STEP
    reason = REUSED if reused else OUT_OF_STEP
    connection = transaction.get_connection(router.db_for_write(Session))
    was_ended = not connection.in_atomic_block
    if was_ended and not end_stolen_session(session_id=session.pk, reason=reason, now=now):
        raise SessionEnded  # somebody else found out first, and has said so
    context.learn(session_id=str(session.pk))  # the session is known, its holder is not
    garrison_events.emit(
        kind,
        target=f"session:{session.pk}",
        data={
            "user_id": str(session.user_id),
            "reason": reason,
            "presented": token.counter,
            "current": session.counter,
            "was_ended": was_ended,
        },
        now=now,
    )
    raise RefreshReused if reused else SessionEnded


def finish_refusal(event: SecurityEvent) -> None:
    """End the family where a rollback had undone it, and mail its user; runs after the request."""
    key = uuid.UUID(event.target.removeprefix("session:"))
    ended = event.data["was_ended"] or end_stolen_session(
        session_id=key, reason=event.data["reason"], now=event.at
    )
    if ended and event.kind is events.REFRESH_REUSED:
        session = Session.objects.select_related("user").get(pk=key)
        notices.mail_reuse(session, seen_from=event.context, at=event.at)
