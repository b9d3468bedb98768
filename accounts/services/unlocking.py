"""Getting into a locked account by the code that its right password had mailed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import axes_records, codes, devices, events, lockout
from accounts.attempt import target_of
from accounts.models.mailed_code import Purpose
from accounts.services.verification import verify_code
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime


@sensitive_variables("code")
def unlock(*, email: str, code: str, now: datetime | None = None) -> str:
    """End strangers' lock of the account, trust this device, and return its token.

    With the token, those who go on guessing do not lock its owner out again. Nobody is signed in by
    it. Raises :class:`~accounts.errors.CodeInvalid`, :class:`~accounts.errors.CodeExpired`, or
    :class:`~accounts.errors.LockedOut` after too many tries from here.
    """
    now = now or timezone.now()
    user, row = verify_code(email=email, purpose=Purpose.UNLOCK, code=code, now=now)
    with transaction.atomic():
        codes.use_up(row)
        lockout.forget(keys=[lockout.account_key(user.get_username())])
        axes_records.forget(account=user)
        device = devices.trust(user, now=now)
        data = {"by": "code"}
        emit(events.ACCOUNT_UNLOCKED, actor=user, target=target_of(user), data=data, now=now)
    return devices.token_of(device)
