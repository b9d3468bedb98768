"""Starting a session for somebody who has just proved who they are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from garrison import context
from sessions_tracking import cookies
from sessions_tracking.conf import settings
from sessions_tracking.living import idle_expiry
from sessions_tracking.models import Session
from sessions_tracking.services.ending import end_excess_sessions
from sessions_tracking.signing_keys import keyring
from sessions_tracking.tokens import SessionAccessToken, SessionRefreshToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.contrib.sessions.backends.base import SessionBase

METHOD_NAME = re.compile(r"^[a-z0-9_-]{1,16}$", re.ASCII)  # as in RFC 8176


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a client is given; the tokens are secrets and stay out of the ``repr``.

    ``access_expires_in`` and ``refresh_expires_in`` are seconds from now; the latter tells how long
    the session lasts when it is not used in between.
    """

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    access_expires_in: int
    refresh_expires_in: int
    session: Session


def start_token_session(*, user: Any, amr: Sequence[str], now: datetime | None = None) -> TokenPair:
    """Start a session for a device that holds tokens, and give its first pair.

    ``amr`` names how the user proved who they are (RFC 8176: ``pwd``, ``otp``, ``hwk``, …). Takes
    two statements: the new row, and the end of sessions beyond ``SESSIONS_MOST_PER_USER``. The
    request's context learns the session, so that the caller's own event carries its id.

    It does not check the user: whoever calls has done that.
    """
    now = now or timezone.now()
    session = _new_session(user=user, kind=Session.Kind.TOKEN, amr=amr, now=now)
    session.key_id = keyring().active.kid
    session.save(force_insert=True)
    end_excess_sessions(newest=session, now=now)
    context.learn(actor_id=str(user.pk), session_id=str(session.pk))
    return issue_pair(session=session, now=now)


def start_cookie_session(
    *,
    user: Any,
    django_session: SessionBase,
    amr: Sequence[str],
    now: datetime | None = None,
) -> Session:
    """Start a session for a browser that holds Django's cookie, and note its id with Django's.

    ``django_session`` is given a key where it has none; the key is stored sealed, so that ending
    the row can delete Django's session too.
    """
    now = now or timezone.now()
    if not django_session.session_key:
        django_session.create()
    session = _new_session(user=user, kind=Session.Kind.COOKIE, amr=amr, now=now)
    session.sealed_cookie_key = cookies.seal(django_session.session_key or "", session.pk)
    session.save(force_insert=True)
    django_session[cookies.SESSION_ID] = str(session.pk)
    end_excess_sessions(newest=session, now=now)
    context.learn(actor_id=str(user.pk), session_id=str(session.pk))
    return session


def issue_pair(*, session: Session, now: datetime) -> TokenPair:
    """Write a fresh access token beside the one refresh token that belongs to the row."""
    access_until = min(now + timedelta(seconds=settings.access_seconds), session.expires_at)
    return TokenPair(
        access=SessionAccessToken.issue(session=session, now=now),
        refresh=SessionRefreshToken.issue(session=session),
        access_expires_in=int((access_until - now).total_seconds()),
        refresh_expires_in=int((session.idle_expires_at - now).total_seconds()),
        session=session,
    )


def _new_session(*, user: Any, kind: Session.Kind, amr: Sequence[str], now: datetime) -> Session:
    known = context.current()
    lifetime = (
        timedelta(hours=settings.cookie_hours)
        if kind is Session.Kind.COOKIE
        else timedelta(days=settings.refresh_days)
    )
    session = Session(
        user=user,
        kind=kind,
        amr=checked_methods(amr),
        created_at=now,
        authenticated_at=now,
        rotated_at=now,
        last_seen_at=now,
        expires_at=now + lifetime,
        ip=known.ip,
        user_agent=known.user_agent,
    )
    session.idle_expires_at = idle_expiry(session, now=now)
    return session


def checked_methods(amr: Sequence[str]) -> list[str]:
    """Return the methods as a list; anything that is no method name is a mistake of the caller."""
    if isinstance(amr, str) or not all(METHOD_NAME.match(method) for method in amr):
        raise ValueError(
            f"amr is {amr!r}; a sequence of method names as in RFC 8176 is needed, such as ['pwd']."
        )
    return list(amr)
