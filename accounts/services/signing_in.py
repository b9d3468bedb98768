"""Signing in: *prove* who it is, *require* what policy asks besides, *start* the session.

Every door runs the same three: the API through :func:`sign_in`, the admin's form and a host's own
``authenticate()`` through :func:`begin`. A sign-in that a step halts goes on by :func:`resume`.
What was reserved for it is cleared when it is complete, and at no half-way answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import devices, events, pending
from accounts.attempt import Reason, target_of
from accounts.errors import InvalidCredentials, StepRequired
from accounts.services.credentials import prove
from accounts.sign_in import EXPIRES_AT, EXPIRES_AT_ATTRIBUTE, MUST_CHANGE, NEW_PASSWORD
from accounts.steps import methods_asked, sign_in_steps
from accounts.user_model import can_be_deactivated
from garrison.errors import Refusal
from garrison.events import emit
from sessions_tracking.services import TokenPair, start_token_session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser

    from accounts.sign_in import SignIn


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn(TokenPair):
    """The tokens of a new session, and the one that makes the next sign-in a trusted device's."""

    device_token: str = field(repr=False)


@sensitive_variables("password")
def sign_in(
    *, login_name: str, password: str, device_token: str = "", now: datetime | None = None
) -> SignedIn:
    """Check the credentials and the steps, and start a session that is held by tokens.

    Raises what :func:`begin` raises. The session, the trusted device and the event commit together.
    """
    now = now or timezone.now()
    begun = begin(login_name=login_name, password=password, device_token=device_token, now=now)
    return _start(begun, now=now)


@sensitive_variables("token", "answer")
def continue_sign_in(
    *, token: str, method: str, answer: str, now: datetime | None = None
) -> SignedIn:
    """Answer the step that halted a sign-in, and start its session where that was the last one.

    Raises what :func:`resume` raises. Of two that complete one sign-in at once, one does.
    """
    now = now or timezone.now()
    digest = pending.digest_of(token)
    return _start(resume(digest=digest, method=method, answer=answer, now=now), now=now)


@sensitive_variables("password")
def check_credentials(
    *, login_name: str, password: str, now: datetime | None = None
) -> AbstractBaseUser:
    """Return the person whose name and password these are, and whom no step holds up.

    Complete by itself, for a caller that needs no session. Raises what :func:`begin` raises.
    """
    now = now or timezone.now()
    begun = begin(login_name=login_name, password=password, now=now)
    begun.clear(now=now)
    return begun.account


@sensitive_variables("password")
def begin(
    *, login_name: str, password: str, device_token: str = "", now: datetime | None = None
) -> SignIn:
    """Prove and require; whoever calls starts the session, then clears what was reserved.

    ``device_token`` is what an earlier sign-in on this device handed out, or anything else.
    Raises what :func:`~accounts.services.credentials.prove` raises; then, after the right password
    only, what a step refuses with (:class:`~accounts.errors.EmailUnverified`), or
    :class:`~accounts.errors.StepRequired` where one asks for more.
    """
    now = now or timezone.now()
    device = devices.recognise(device_token, login_name=login_name, now=now)
    begun = prove(login_name=login_name, password=password, device=device, now=now)
    with begun.released_on_error():
        for step in sign_in_steps():
            step.inspect(begun, password=password)
    return _require(begun, now=now)


@sensitive_variables("answer")
def resume(*, digest: str, method: str, answer: str, now: datetime | None = None) -> SignIn:
    """Go on with a half-done sign-in; whoever calls claims it, starts the session, and clears.

    Raises :class:`~accounts.errors.SignInExpired` where there is none to go on with, what the step
    refuses the answer with, or :class:`~accounts.errors.StepRequired` where another asks for more.
    """
    now = now or timezone.now()
    return _require(pending.resume(digest, now=now), now=now, method=method, answer=answer)


@sensitive_variables("answer")
def _require(
    begun: SignIn, *, now: datetime, method: str | None = None, answer: str = ""
) -> SignIn:
    with begun.released_on_error():
        try:
            methods = list(methods_asked(begun, method=method, answer=answer))
        except Refusal as refusal:
            if refusal.status < 500 and getattr(refusal, "is_failure", True):
                if begun.pending:
                    begun.attempt.reserve_again()
                begun.fail(Reason(getattr(refusal, "reason", Reason.REFUSED)))
            raise
        if methods:
            token = pending.hold(begun, methods=methods, now=now)
            reason = begun.notes.get(MUST_CHANGE, "") if NEW_PASSWORD in methods else ""
            raise StepRequired(token=token, methods=methods, reason=reason)
    return begun


def _start(begun: SignIn, *, now: datetime) -> SignedIn:
    with begun.released_on_error(), transaction.atomic():
        begun.require_claim()
        is_unchanged = _note_sign_in(begun.account, now=now)
        if is_unchanged:
            tokens = start_token_session(user=begun.account, amr=begun.amr, now=now)
            device = begun.trust(now=now)
            emit_signed_in(user=begun.account, kind="token", amr=begun.amr, now=now)
    if not is_unchanged:
        begun.fail(Reason.CHANGED)
        raise InvalidCredentials
    begun.clear(now=now)
    if EXPIRES_AT in begun.notes:
        setattr(begun.account, EXPIRES_AT_ATTRIBUTE, begun.notes[EXPIRES_AT])
    held = {field.name: getattr(tokens, field.name) for field in fields(tokens)}
    return SignedIn(**held, device_token=devices.token_of(device))


def _note_sign_in(user: AbstractBaseUser, *, now: datetime) -> bool:
    """Note the sign-in on the account as it was checked; return whether it still is that account.

    Hashing takes long enough for a password to be reset in between, which ends every session there
    is. The row is locked from here to the commit, so the reset either finds the new session or is
    found by this condition.
    """
    checked: dict[str, Any] = {"pk": user.pk, "password": user.password}
    if can_be_deactivated(type(user)):
        checked["is_active"] = True
    user.last_login = now
    return bool(type(user)._default_manager.filter(**checked).update(last_login=now))


def emit_signed_in(
    *, user: AbstractBaseUser, kind: str, amr: Sequence[str], now: datetime | None = None
) -> None:
    """Emit that a person signed in; the request's context knows the session by now."""
    emit(
        events.LOGIN_SUCCEEDED,
        actor=user,
        target=target_of(user),
        data={"methods": list(amr), "kind": kind},
        now=now,
    )
