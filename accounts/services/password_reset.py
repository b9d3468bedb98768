"""Choosing a new password by a code that was mailed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import axes_records, codes, devices, events, letters, lockout, mails, pending
from accounts.attempt import target_of
from accounts.login_name import acceptable
from accounts.models.mailed_code import Purpose
from accounts.password import history
from accounts.password.hashers import hashing_slot
from accounts.password.policy import require_accepted
from accounts.services.verification import verify_code
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

RESET = "password_reset"


def request_reset(*, email: str, device_token: str = "") -> None:
    """Mail a code to the owner of an active account; nobody else is mailed.

    One statement, whoever it is: the account is looked up when the mail is sent. What strangers ask
    for is no part of what a trusted device may have mailed.
    """
    if address := acceptable(email):
        device = devices.recognise(device_token, login_name=address)
        asked_by = {"trusted_device": device.pk.hex} if device else {}
        mails.queue("reset_code", address=address, **asked_by)


@sensitive_variables("new_password", "code", "device_token")
def reset_password(
    *,
    email: str,
    code: str,
    new_password: str,
    device_token: str = "",
    now: datetime | None = None,
) -> str:
    """Set a new password for whoever has the code; every session ends, second factors stay.

    No device is trusted any longer but the one that asks, whose new token is returned: with it, a
    stranger who goes on guessing does not keep the owner out. Raises
    :class:`~accounts.errors.PasswordRejected` by looking at what was sent alone, then
    :class:`~accounts.errors.CodeInvalid` or :class:`~accounts.errors.CodeExpired`, or
    :class:`~accounts.errors.LockedOut` after too many tries from here, then the first again for one
    that was used before: the code stays good for another. The code proves the address
    too, and ends the lock that strangers may have brought about.
    """
    now = now or timezone.now()
    require_accepted(new_password, user=get_user_model()(email=email))
    with hashing_slot():  # before a try of the code is spent
        user, row = verify_code(
            email=email,
            purpose=Purpose.RESET_PASSWORD,
            code=code,
            device_token=device_token,
            now=now,
        )
        history.require_unused(new_password, account=user)
        replaced = user.password
        user.set_password(new_password)
    user.email_verified_at = user.email_verified_at or now
    with transaction.atomic():
        codes.use_up(row)
        codes.void(user_id=user.pk, purposes=[Purpose.RESET_PASSWORD, Purpose.UNLOCK])
        user.save(update_fields=["password", "email_verified_at"])
        history.record(account=user, replaced=replaced, now=now)
        pending.end_access(user, reason=RESET, now=now)
        device = devices.trust(user, now=now)
        keys = [lockout.account_key(user.get_username()), letters.reset_budget_key(user)]
        lockout.forget(keys=keys)
        axes_records.forget(account=user)
        emit(events.PASSWORD_RESET, actor=user, target=target_of(user), now=now)
        mails.queue("password_notice", user_id=user.pk, by_code=True)
    return devices.token_of(device)
