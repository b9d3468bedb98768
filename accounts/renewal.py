"""A password that has expired, or is known from a breach, leads to a new one: a step of a sign-in.

The step stands after those that prove more (second factors): who knows an old password alone must
not set the next one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import events
from accounts.attempt import target_of
from accounts.conf import settings
from accounts.errors import CurrentPasswordWrong, SignInExpired
from accounts.password import history
from accounts.password.breaches.known import is_asked_online, is_breached
from accounts.password.hashers import hashing_slot
from accounts.password.policy import require_accepted
from accounts.services.password_change import set_own_password
from accounts.sign_in import BREACHED, EXPIRED, EXPIRES_AT, MUST_CHANGE, NEW_PASSWORD
from accounts.steps import Step
from garrison.events import emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accounts.models import UsedPassword
    from accounts.sign_in import SignIn

ASKED_AGAIN_AFTER = timedelta(days=30)  # of the service; a corpus is asked at every sign-in


class PasswordStillGood(Step):
    """Ask for a new password where the present one is too old or breached."""

    @sensitive_variables("password")
    def inspect(self, sign_in: SignIn, *, password: str) -> None:
        """Note what is wrong with the password, or when it will be; one statement in most cases.

        Where the service is the one to answer, it is asked once a month for each password, and
        again where it was silent; a silent one holds nobody up.
        """
        account, now = sign_in.account, sign_in.attempt.now
        is_dated = settings.password_max_age_days is not None or is_asked_online()
        row = history.dated(account=account, now=now) if is_dated else None
        if _is_known(password, row, now=now):
            sign_in.notes[MUST_CHANGE] = BREACHED
            emit(events.PASSWORD_FOUND_BREACHED, target=target_of(account), now=now)
        elif row is not None and settings.password_max_age_days is not None:
            expires_at = row.set_at + timedelta(days=settings.password_max_age_days)
            if expires_at <= now:
                sign_in.notes[MUST_CHANGE] = EXPIRED
            elif expires_at - now <= timedelta(days=settings.password_warning_days):
                sign_in.notes[EXPIRES_AT] = expires_at.isoformat()

    def require(self, sign_in: SignIn) -> Sequence[str]:
        """Ask for a new password where one was found to be needed."""
        return (NEW_PASSWORD,) if MUST_CHANGE in sign_in.notes else ()

    @sensitive_variables("answer")
    def verify(self, sign_in: SignIn, *, method: str, answer: str) -> Sequence[str]:  # noqa: ARG002
        """Set it, as a change of the password does: other sessions end, and the owner is mailed.

        Raises :class:`~accounts.errors.PasswordRejected`, which counts as no failure.
        """
        account = sign_in.account
        require_accepted(answer, user=account)
        with hashing_slot():
            history.require_unused(answer, account=account)
            try:
                set_own_password(proved=account, new_password=answer, now=timezone.now())
            except CurrentPasswordWrong:  # another request has set one in this moment
                raise SignInExpired from None
        sign_in.notes.clear()
        return ()


def _is_known(password: str, row: UsedPassword | None, *, now: datetime) -> bool:
    """Return whether the password is known from a breach, as far as anybody can answer now."""
    if row is None or not is_asked_online():
        return bool(is_breached(password))
    asked_at = row.breaches_checked_at
    if asked_at is not None and now - asked_at < ASKED_AGAIN_AFTER:
        return False
    known = is_breached(password)
    if known is False:
        row.breaches_checked_at = now
        row.save(update_fields=["breaches_checked_at"])
    return bool(known)
