"""Refusals of this app; what a client gets is the class's code and status."""

from __future__ import annotations

from garrison.errors import Refusal


class SessionRefusal(Refusal):
    """Base of the refusals that concern a session or its tokens."""

    code = "session_refused"
    status = 401
    title = "The session cannot be used"


class TokenInvalid(SessionRefusal):
    """The token is not one of ours, or not for this use; nothing more is told."""

    code = "token_invalid"
    title = "The token is not valid"


class TokenExpired(SessionRefusal):
    """The token was genuine, and its time has passed."""

    code = "token_expired"
    title = "The token has expired"


class SessionEnded(SessionRefusal):
    """The session was ended, has lapsed, or its user may no longer sign in."""

    code = "session_ended"
    title = "The session has ended"


class RefreshReused(SessionRefusal):
    """A replaced refresh token was used again; its session has been ended."""

    code = "refresh_reused"
    title = "The refresh token was used before, so its session was ended"


class ReauthenticationRequired(SessionRefusal):
    """The action needs a sign-in that is only minutes old."""

    code = "reauthentication_required"
    status = 403
    title = "Confirm who you are, then repeat the request"


class SessionNotFound(SessionRefusal):
    """No living session of this user has that id; whether anybody else's has is not told."""

    code = "session_not_found"
    status = 404
    title = "There is no such session"
