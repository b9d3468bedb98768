"""Choosing a new password by proving the present one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import codes, events, mails, pending
from accounts.attempt import target_of
from accounts.errors import CurrentPasswordWrong, InvalidCredentials
from accounts.models.mailed_code import Purpose
from accounts.password import history
from accounts.password.hashers import hashing_slot
from accounts.password.policy import require_accepted
from accounts.services.credentials import prove
from garrison import context
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser

CHANGED = "password_changed"


@sensitive_variables("current_password", "new_password")
def change_password(
    *,
    user: AbstractBaseUser,
    current_password: str,
    new_password: str,
    now: datetime | None = None,
) -> None:
    """Set a new password for somebody who is signed in; their other sessions end.

    Raises :class:`~accounts.errors.PasswordRejected` by looking at the new one alone, then what
    :func:`prove_password` raises, then the former again for one that was used before.
    """
    now = now or timezone.now()
    require_accepted(new_password, user=user)
    with hashing_slot():
        proved = prove_password(user=user, password=current_password, now=now)
        history.require_unused(new_password, account=proved)
        set_own_password(proved=proved, new_password=new_password, now=now)


@sensitive_variables("password")
def prove_password(
    *, user: AbstractBaseUser, password: str, now: datetime | None = None
) -> AbstractBaseUser:
    """Return the account as it was when its password was proved.

    A wrong one counts like a failed sign-in, in the session's own bucket: whoever holds a stolen
    session must not guess here at leisure, and who fills the account's bucket elsewhere keeps no
    owner from it. The steps of a sign-in are not asked again: there is a session already. Raises
    :class:`~accounts.errors.CurrentPasswordWrong` or :class:`~accounts.errors.LockedOut`.
    """
    now = now or timezone.now()
    try:
        proved = prove(
            login_name=user.get_username(),
            password=password,
            session_id=context.current().session_id,
            now=now,
        )
    except InvalidCredentials as refusal:
        wait = refusal.retry_after_seconds
        raise CurrentPasswordWrong(retry_after_seconds=wait) from None
    proved.clear(now=now)
    return proved.account


@sensitive_variables("new_password")
def set_own_password(
    *, proved: AbstractBaseUser, new_password: str, now: datetime | None = None
) -> None:
    """Set the password over the one that was proved; the session that asks is the only one left.

    Mailed codes for a reset are void from now on, and the owner is told by mail. Raises
    :class:`~accounts.errors.CurrentPasswordWrong` where the password was changed in between.
    """
    now = now or timezone.now()
    rows = type(proved)._default_manager.select_for_update()
    with transaction.atomic():
        user = rows.filter(pk=proved.pk, password=proved.password).first()
        if user is None:
            raise CurrentPasswordWrong
        user.set_password(new_password)
        user.save(update_fields=["password"])
        history.record(account=user, replaced=proved.password, now=now)
        proved.password = user.password
        codes.void(user_id=user.pk, purposes=[Purpose.RESET_PASSWORD, Purpose.UNLOCK])
        asking = context.current().session_id
        pending.end_access(user, reason=CHANGED, except_session_id=asking, now=now)
        emit(events.PASSWORD_CHANGED, actor=user, target=target_of(user), now=now)
        mails.queue("password_notice", user_id=user.pk, by_code=False)
