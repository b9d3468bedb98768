"""Half-done sign-ins of browsers: the admin's form and a host's own views go on with them here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.views.decorators.debug import sensitive_variables

from accounts import devices, pending
from accounts.backends import hand_over
from accounts.errors import SignInExpired, StepRequired
from accounts.services.signing_in import resume

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

    from accounts.sign_in import SignIn

# Where Django's session names the row. It holds no token, so whoever reads sessions learns none.
SESSION_KEY = "_accounts_pending_sign_in"


def remember(request: HttpRequest, required: StepRequired) -> None:
    """Note in the browser's session which sign-in stands half-done, and how to go on.

    The session gets another key first: whoever planted the one it had must not go on in it.
    """
    request.session.cycle_key()
    digest = pending.digest_of(required.token)
    request.session[SESSION_KEY] = {"digest": digest, "methods": required.methods}


def methods_asked(request: HttpRequest | None) -> list[str]:
    """Return the methods by which this browser may go on; nothing where nothing is half-done."""
    held = getattr(request, "session", {}).get(SESSION_KEY) or {}
    return list(held.get("methods", ()))


def forget(request: HttpRequest) -> None:
    """Leave the half-done sign-in to its end; it stays counted until then."""
    request.session.pop(SESSION_KEY, None)


def trust(request: Any, user: Any, sign_in: SignIn | None, *, now: datetime) -> None:
    """Make the browser a trusted device, where the middleware is there to set its cookie."""
    if hasattr(request, devices.NEW_TOKEN_ATTRIBUTE):
        device = sign_in.trust(now=now) if sign_in else devices.trust(user, now=now)
        devices.hand_out(request, devices.token_of(device))


@sensitive_variables("answer")
def go_on(request: HttpRequest, *, method: str, answer: str) -> AbstractBaseUser:
    """Answer the step; return the user for Django's ``login()``, which completes the sign-in.

    Raises as :func:`~accounts.services.signing_in.resume` does; where another step asks for more,
    the browser's session knows it by then.
    """
    held = request.session.get(SESSION_KEY) or {"digest": ""}
    try:
        sign_in = resume(digest=held["digest"], method=method, answer=answer)
        sign_in.require_claim()
    except StepRequired as required:
        remember(request, required)
        raise
    except SignInExpired:
        forget(request)
        raise
    forget(request)
    return hand_over(request, sign_in)
