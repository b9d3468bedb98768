"""Registering: the same answer for every address, and one mail in every case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.db import router, transaction
from django.db.models.signals import post_save, pre_save
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

    from django.contrib.auth.base_user import AbstractBaseUser

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
    if account is None:
        account = _create(user, now=now)
        if account is None:
            return
        is_same_password = verify(password, account.password if account else None).is_right
    _repeat(user.email, is_same_password=is_same_password, now=now)


def _create(user: User, *, now: datetime) -> AbstractBaseUser | None:
    """Add the account and mail its code; return another, which took the address in this moment."""
    with transaction.atomic():
        if taken_by := _insert(user):
            return taken_by
        emit(events.USER_REGISTERED, actor=user, target=target_of(user), now=now)
        mails.queue("verification_code", address=user.email)
    return None


def _insert(user: User) -> AbstractBaseUser | None:
    """Add the row, or return whose the address is; the statement fails in neither case.

    PostgreSQL logs a statement that fails, with the address and, where the host binds no values at
    the server, the hash. The signals are those of ``save()``, which is not called.
    """
    model = type(user)
    saved = {"sender": model, "instance": user, "raw": False, "update_fields": None}
    saved["using"] = router.db_for_write(model)
    pre_save.send(**saved)
    model._default_manager.bulk_create([user], ignore_conflicts=True)
    row = model._default_manager.get(email=user.email)
    if row.password != user.password:  # a hash's salt makes it this one's alone
        return row
    user.pk = row.pk  # which the database may have chosen
    post_save.send(**saved, created=True)
    return None


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
