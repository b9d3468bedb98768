"""Whether a name and a password belong together: asked here by every door."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.hashers import make_password
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import axes_records, events, lockout
from accounts.attempt import Attempt, Reason, target_of
from accounts.errors import EmailUnverified, HashingBusy, InvalidCredentials, LockedOut
from accounts.finding import find_account
from accounts.password.verification import verify
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser

LONGEST_ADVISED_WAIT_SECONDS = 60


@sensitive_variables("password")
def check_credentials(
    *, login_name: str, password: str, now: datetime | None = None
) -> AbstractBaseUser:
    """Return the person whose name and password these are.

    Raises :class:`~accounts.errors.InvalidCredentials`, alike for an unknown name, a wrong password
    and an inactive account; :class:`~accounts.errors.LockedOut`, alike for existing and other
    names, without hashing; and, after the right password only,
    :class:`~accounts.errors.EmailUnverified`. Each is an event. Nobody is signed in by it.
    """
    attempt = Attempt.of(login_name, now=now or timezone.now())
    try:
        places = attempt.take_places()
    except LockedOut:  # raised on; told first, with the account where there is one
        attempt.say_failed(account=find_account(login_name), reason=Reason.LOCKED)
        raise
    account = find_account(login_name)
    reason = _judge(account, password, places)
    if reason is not None:
        count_failure(attempt, account, places, reason)
        raise InvalidCredentials(retry_after_seconds=_advised_wait(places))
    return _welcome(attempt, account, places)


@sensitive_variables("password")
def _judge(
    account: AbstractBaseUser | None, password: str, places: list[lockout.Place]
) -> Reason | None:
    """Hash once, whoever it is, and only then tell cases apart."""
    try:
        verdict = verify(password, account.password if account is not None else None)
    except HashingBusy:  # raised on; nothing was compared, so no place was used
        lockout.give_back(places=places)
        raise
    if account is None:
        return Reason.UNKNOWN
    if not verdict.is_right:
        return Reason.WRONG_PASSWORD
    if not account.is_active:
        return Reason.INACTIVE
    if verdict.is_outdated and not _renew_hash(account, password):
        return Reason.CHANGED
    return None


@sensitive_variables("password")
def _renew_hash(account: AbstractBaseUser, password: str) -> bool:
    """Hash the password in the present profile; tell whether it still is the password.

    Written only over the hash that was compared: a password that was changed in between, perhaps
    because somebody else knew it, must not come back.
    """
    accounts = type(account)._default_manager.filter(pk=account.pk)
    renewed = make_password(password)
    if accounts.filter(password=account.password).update(password=renewed):
        account.password = renewed
        return True
    account.password = accounts.values_list("password", flat=True).first() or ""
    return verify(password, account.password).is_right  # another sign-in may have renewed it first


def count_failure(
    attempt: Attempt,
    account: AbstractBaseUser | None,
    places: list[lockout.Place],
    reason: Reason,
) -> None:
    """Leave the places taken, record and tell the failure, and lock what is full."""
    attempt.say_failed(account=account, reason=reason)
    axes_records.record_failure(
        login_name=attempt.login_name, account=account, ip=attempt.ip, now=attempt.now
    )
    for place in places:
        owner = account if place.is_account else None
        user_id = owner.pk if owner is not None else None
        until = lockout.lock(place=place, user_id=user_id, now=attempt.now)
        if until is not None:
            _say_locked(place, owner, until)


def _say_locked(place: lockout.Place, account: AbstractBaseUser | None, until: datetime) -> None:
    data = {"bucket": place.key, "until": until.isoformat(), "locks": place.locks + 1}
    emit(events.LOCKOUT_STARTED, target=target_of(account) or place.key, data=data)


def _advised_wait(places: list[lockout.Place]) -> int | None:
    """Return 0, 1, 2, 4, 8 … seconds: advice to a client, which no worker sleeps for."""
    number = next((place.number for place in places if place.is_account), 1)
    return min(2 ** (number - 2), LONGEST_ADVISED_WAIT_SECONDS) if number > 1 else None


def _welcome(
    attempt: Attempt, account: AbstractBaseUser | None, places: list[lockout.Place]
) -> AbstractBaseUser:
    """Release the places; refuse once more where the address was never proved."""
    assert account is not None  # noqa: S101 - _judge names an unknown account as a reason
    lockout.clear(places=places)
    if any(place.is_after_failures for place in places if place.is_account):
        axes_records.forget(account=account)
    if not getattr(account, "is_email_verified", True):
        attempt.say_failed(account=account, reason=Reason.UNVERIFIED)
        raise EmailUnverified
    return account
