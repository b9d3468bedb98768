"""Whether a name and a password belong together: the first step of every door, *prove*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.hashers import make_password
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.attempt import SESSION, Attempt, Reason
from accounts.errors import InvalidCredentials, LockedOut
from accounts.lockout import ELSEWHERE
from accounts.password import history
from accounts.password.hashers import hashing_slot
from accounts.password.verification import verify
from accounts.sign_in import SignIn
from accounts.user_model import find_account

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser

    from accounts.lockout import Reservation
    from accounts.models import TrustedDevice

LONGEST_ADVISED_WAIT_SECONDS = 60


@sensitive_variables("password")
def prove(
    *,
    login_name: str,
    password: str,
    device: TrustedDevice | None = None,
    session_id: str | None = None,
    now: datetime | None = None,
) -> SignIn:
    """Return a sign-in of the person whose name and password these are.

    It counts in the bucket of the account's own ``device``, or of the session that asks. Its
    reservations stay taken until whoever called clears them. Raises
    :class:`~accounts.errors.InvalidCredentials`, alike for an unknown name, a wrong password and an
    inactive account, and :class:`~accounts.errors.LockedOut`, alike for existing and other names,
    after the same hashing; each is an event. A locked account's right password is refused like a
    wrong one, and its owner is mailed the way in. Raises :class:`~accounts.errors.HashingBusy`
    before anything is reserved: no event, for nothing was decided, and a flood must not fill the
    log.
    """
    own = device.pk.hex if device else f"{SESSION}{session_id}" if session_id else ELSEWHERE
    attempt = Attempt.of(login_name, now=now or timezone.now(), device=own)
    refusal: LockedOut | None = None
    with hashing_slot():
        try:
            attempt.reserve()
        except LockedOut as locked:  # raised below, after the hash that tells nobody apart
            refusal = locked
        with attempt.released_on_error():
            account = device.user if device else find_account(login_name)
            reason = _reason_against(account, password, renews=refusal is None)
    is_right = account is not None and reason is None
    if refusal and is_right:
        refusal = attempt.reserve_when_free(refusal)
    if refusal:
        attempt.refuse(refusal, account=account, owner=account if is_right else None)
        raise refusal
    if account is None or reason is not None:
        reason = reason or Reason.UNKNOWN
        attempt.fail(account=account, reason=reason)
        raise InvalidCredentials(retry_after_seconds=_advised_wait(attempt.reservations))
    return SignIn(account, attempt)


@sensitive_variables("password")
def _reason_against(
    account: AbstractBaseUser | None, password: str, *, renews: bool
) -> Reason | None:
    """Hash once, whoever it is, and only then distinguish the cases."""
    verdict = verify(password, account.password if account is not None else None)
    if account is None:
        return Reason.UNKNOWN
    if not verdict.is_right:
        return Reason.WRONG_PASSWORD
    if not account.is_active:
        return Reason.INACTIVE
    if renews and verdict.is_outdated and not _renew_hash(account, password):
        return Reason.CHANGED
    return None


@sensitive_variables("password")
def _renew_hash(account: AbstractBaseUser, password: str) -> bool:
    """Hash the password in the present profile; return whether it still is the password.

    Written only over the hash that was compared: a password that was changed in between, perhaps
    because somebody else knew it, must not come back.
    """
    accounts = type(account)._default_manager.filter(pk=account.pk)
    renewed = make_password(password)
    if accounts.filter(password=account.password).update(password=renewed):
        replaced, account.password = account.password, renewed
        history.follow_renewal(account=account, replaced=replaced)
        return True
    account.password = accounts.values_list("password", flat=True).first() or ""
    return verify(password, account.password).is_right  # another sign-in may have renewed it first


def _advised_wait(reservations: list[Reservation]) -> int | None:
    """Return 0, 1, 2, 4, 8 … seconds: advice to a client, which no worker sleeps for."""
    number = next((made.number for made in reservations if made.is_account), 1)
    return min(2 ** (number - 2), LONGEST_ADVISED_WAIT_SECONDS) if number > 1 else None
