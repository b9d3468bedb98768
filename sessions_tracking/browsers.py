"""Who a browser's cookie belongs to: Django's answer, as long as the row is alive."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.contrib import auth
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser
from django.utils.crypto import constant_time_compare

from garrison import context
from sessions_tracking import cookies
from sessions_tracking.errors import SessionEnded
from sessions_tracking.living import living_session, note_use
from sessions_tracking.models import Session
from sessions_tracking.services import end_session, start_cookie_session

if TYPE_CHECKING:
    from django.http import HttpRequest

PASSWORD = ("pwd",)  # RFC 8176


def begin(request: HttpRequest, user: Any) -> Session:
    """Start the row of a browser that has just signed in; the row it had before is over.

    ``request.authentication_methods`` may name more than the password (RFC 8176).
    """
    earlier = request.session.get(cookies.SESSION_ID)
    tracked: Session | None = getattr(request, "tracked_session", None)
    if not earlier and tracked:  # login() has flushed Django's session: it was somebody else's
        earlier = tracked.pk
    if earlier:
        end_session(session_id=earlier, reason="replaced")
    session = start_cookie_session(
        user=user,
        django_session=request.session,
        amr=getattr(request, "authentication_methods", PASSWORD),
    )
    request.tracked_session = session  # type: ignore[attr-defined]
    return session


def user_of_cookie(request: HttpRequest) -> Any:
    """Return the user of the request's cookie session, or an anonymous one.

    Two statements, as many as Django alone takes: its session, and the row joined with the user. A
    signed-in session without a living row is flushed, so its holder signs in again; that includes
    those from before this app was installed.
    """
    if auth.SESSION_KEY not in request.session:
        return AnonymousUser()
    session = _row(request)
    user = _confirmed_user(request, session) if session else None
    if session is None or user is None:
        request.session.flush()
        return AnonymousUser()
    note_use(session)
    _reseal(request, session)
    request.tracked_session = session  # type: ignore[attr-defined]  # for require_fresh_request
    context.learn(actor_id=str(user.pk), session_id=str(session.pk))
    return user


def _row(request: HttpRequest) -> Session | None:
    try:
        key = uuid.UUID(request.session.get(cookies.SESSION_ID, ""))
        session = living_session(session_id=key)
    except (ValueError, SessionEnded):
        return None
    return session if session.kind == Session.Kind.COOKIE else None


def _confirmed_user(request: HttpRequest, session: Session) -> Any:
    """Return the joined user where Django would give the same one, else ask Django itself."""
    if _django_would_agree(request, session.user):
        return session.user
    user = auth.get_user(request)  # changed password, a backend of its own kind
    return user if user.pk == session.user_id else None


def _django_would_agree(request: HttpRequest, user: Any) -> bool:
    """Check what ``django.contrib.auth.get_user`` checks, without its query for the user."""
    known = request.session
    path = known.get(auth.BACKEND_SESSION_KEY, "")
    if path not in django_settings.AUTHENTICATION_BACKENDS:
        return False
    backend: Any = auth.load_backend(path)
    return (
        getattr(type(backend), "get_user", None) is ModelBackend.get_user
        and backend.user_can_authenticate(user)
        and known[auth.SESSION_KEY] == user._meta.pk.value_to_string(user)
        and _is_of_password(known.get(auth.HASH_SESSION_KEY, ""), user)
    )


def _is_of_password(stored: str, user: Any) -> bool:
    """Compare under ``SECRET_KEY`` and its fallbacks.

    Django would cycle the session's key at a fallback. While an old and a new process serve one
    site, that happens at each change between them, and signs out whoever has two requests on their
    way.
    """
    fallbacks = getattr(user, "get_session_auth_fallback_hash", tuple)
    known = (user.get_session_auth_hash(), *fallbacks())
    return any(constant_time_compare(stored, each) for each in known)


def _reseal(request: HttpRequest, session: Session) -> None:
    """Follow a changed key of Django's session: a changed password cycles it."""
    django_key = request.session.session_key or ""
    if cookies.unseal(session.sealed_cookie_key, session.pk) != django_key:
        sealed = cookies.seal(django_key, session.pk)
        Session.objects.filter(pk=session.pk).update(sealed_cookie_key=sealed)
