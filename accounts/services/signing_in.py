"""Signing in for tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import events
from accounts.attempt import Attempt, Reason, target_of
from accounts.errors import InvalidCredentials
from accounts.services.credentials import check_credentials
from accounts.user_model import can_be_deactivated
from garrison.events import emit
from sessions_tracking.services import start_token_session

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser

    from sessions_tracking.services import TokenPair

PASSWORD_METHOD = "pwd"  # noqa: S105 - the name of a method in RFC 8176


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in, and the tokens of their new session."""

    user: AbstractBaseUser
    tokens: TokenPair


@sensitive_variables("password")
def sign_in(*, login_name: str, password: str, now: datetime | None = None) -> SignedIn:
    """Check the credentials, and start a session that is held by tokens.

    Raises what :func:`~accounts.services.credentials.check_credentials` raises. The session and the
    event commit together.
    """
    now = now or timezone.now()
    user = check_credentials(login_name=login_name, password=password, now=now)
    with transaction.atomic():
        if not _note_sign_in(user, now=now):
            attempt = Attempt.of(login_name, now=now)
            attempt.say_failed(account=user, reason=Reason.CHANGED)
            raise InvalidCredentials
        tokens = start_token_session(user=user, amr=[PASSWORD_METHOD], now=now)
        say_signed_in(user=user, kind="token", now=now)
    return SignedIn(user=user, tokens=tokens)


def _note_sign_in(user: AbstractBaseUser, *, now: datetime) -> bool:
    """Note the sign-in on the account as it was checked; tell whether it still is that account.

    Hashing takes long enough for a password to be reset in between, which ends every session there
    is. The row is locked from here to the commit, so the reset either finds the new session or is
    found by this condition.
    """
    checked: dict[str, Any] = {"pk": user.pk, "password": user.password}
    if can_be_deactivated(type(user)):
        checked["is_active"] = True
    user.last_login = now
    return bool(type(user)._default_manager.filter(**checked).update(last_login=now))


def say_signed_in(*, user: AbstractBaseUser, kind: str, now: datetime | None = None) -> None:
    """Emit that a person signed in; the request's context knows the session by now."""
    emit(
        events.LOGIN_SUCCEEDED,
        actor=user,
        target=target_of(user),
        data={"methods": [PASSWORD_METHOD], "kind": kind},
        now=now,
    )
