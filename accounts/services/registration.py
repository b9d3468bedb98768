"""Registering: the same answer for every address, and one mail in every case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import events, mails
from accounts.attempt import target_of
from accounts.login_name import fold
from accounts.password.hashers import hashing_slot
from accounts.password.policy import require_accepted
from accounts.password.verification import verify
from accounts.user_model import find_account
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

    from accounts.models import User


@sensitive_variables("password")
def register(*, email: str, password: str, name: str = "", now: datetime | None = None) -> None:
    """Create an account whose address is unproved, and mail its code.

    Returns alike for an address that has an account: its owner is mailed a notice, or a fresh code
    where they never entered the first. Hashes as often, and queues a mail, in every case. Raises
    :class:`~accounts.errors.PasswordRejected` by looking at what was sent alone.
    """
    user = get_user_model()(email=fold(email), name=name)
    require_accepted(password, user=user)
    account = find_account(email)
    with hashing_slot():
        is_same_password = verify(password, account.password if account else None).is_right
        user.password = make_password(password)
    now = now or timezone.now()
    if account is None and _created(user, now=now):
        return
    if account is None:  # somebody else added it in this very moment
        account = find_account(email)
        is_same_password = verify(password, account.password if account else None).is_right
    _repeat(user.email, is_same_password=is_same_password, now=now)


def _created(user: User, *, now: datetime) -> bool:
    """Add the account and mail its code; false where the address is taken by now."""
    with transaction.atomic():
        try:
            with transaction.atomic():
                user.save(force_insert=True)
        except IntegrityError:  # somebody was faster; the caller answers as for any known address
            return False
        emit(events.USER_REGISTERED, actor=user, target=target_of(user), now=now)
        mails.queue("verification_code", address=user.email)
    return True


def _repeat(email: str, *, is_same_password: bool, now: datetime) -> None:
    """Answer for an address that is registered already."""
    with transaction.atomic():
        account = get_user_model()._default_manager.select_for_update().get(email=email)
        emit(events.REGISTRATION_REPEATED, target=target_of(account), now=now)
        if account.is_email_verified or not account.is_active:
            mails.queue("registration_notice", address=account.email)
            return
        is_new = account.last_login is None and not account.is_staff
        if is_new and not is_same_password:
            # Whoever enters the code is the owner, and which password was the owner's nobody can
            # tell: an account prepared by a stranger must not open to the stranger's password.
            account.set_unusable_password()
            account.save(update_fields=["password"])
        mails.queue("verification_code", address=account.email)
