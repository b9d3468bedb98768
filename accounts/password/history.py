"""The last passwords of each person: when the present one was set, and which may not come back.

Whether a password was used before is answered only to somebody who has proved the present one, or
read the account's mail: to others it would be a place to guess at, beside the lockout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.hashers import check_password, is_password_usable
from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from accounts.conf import settings
from accounts.errors import PasswordRejected
from accounts.models import UsedPassword
from accounts.password.hashers import hashing_slot
from garrison.errors import FieldError

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.db.models import QuerySet

REUSED = "reused"


def newest_of(account: AbstractBaseUser) -> UsedPassword | None:
    """Return the row of the present password; ``None`` where nobody noted when it was set."""
    row = _of(account).first()
    return row if row is not None and row.encoded == account.password else None


def dated(*, account: AbstractBaseUser, now: datetime) -> UsedPassword | None:
    """Return the row of the present password; one that nobody dated counts from now.

    So neither an upgrade nor a host's own ``set_password()`` makes a password old. ``None`` where
    the account has changed in this moment.
    """
    row = newest_of(account)
    if row is not None:
        return row
    with transaction.atomic():
        rows = type(account)._default_manager.select_for_update()
        locked = rows.filter(pk=account.pk).first()
        if locked is None or locked.password != account.password:
            return None
        return newest_of(locked) or record(account=locked, now=now)


def keep_present(*, account: AbstractBaseUser, now: datetime) -> None:
    """Note a password that staff are about to end, lest it is chosen again."""
    if is_password_usable(account.password):
        dated(account=account, now=now)


@sensitive_variables("password")
def require_unused(password: str, *, account: AbstractBaseUser) -> None:
    """Raise :class:`~accounts.errors.PasswordRejected` for the present password and the last ones.

    Compares with each of ``ACCOUNTS_PASSWORD_HISTORY``, whichever it is, in one hashing slot.
    """
    most = settings.password_history
    used = [account.password, *_of(account).values_list("encoded", flat=True)[:most]]
    usable = [encoded for encoded in dict.fromkeys(used) if is_password_usable(encoded)]
    with hashing_slot():
        found = [check_password(password, encoded) for encoded in usable[:most]]
    if any(found):
        said = f"It is one of your last {most} passwords. Choose one that you have not used here."
        raise PasswordRejected(errors=[FieldError(code=REUSED, message=said, field="password")])


def record(*, account: AbstractBaseUser, replaced: str = "", now: datetime) -> UsedPassword:
    """Note the present password and the one it replaced, and forget the oldest.

    The caller has locked the account's row.
    """
    newest = _of(account).values_list("encoded", flat=True).first()
    is_missing = bool(replaced) and is_password_usable(replaced) and replaced != newest
    user: Any = account
    for encoded in [replaced] * is_missing + [account.password]:
        row = UsedPassword.objects.create(user=user, encoded=encoded, set_at=now)
    kept = _of(account).values_list("pk", flat=True)[: max(1, settings.password_history)]
    _of(account).filter(pk__lt=list(kept)[-1]).delete()
    return row


def follow_renewal(*, account: AbstractBaseUser, replaced: str) -> None:
    """Note that the same password is hashed anew."""
    row = _of(account).first()
    if row is not None and row.encoded == replaced:
        UsedPassword.objects.filter(pk=row.pk).update(encoded=account.password)


def _of(account: AbstractBaseUser) -> QuerySet[UsedPassword]:
    return UsedPassword.objects.filter(user_id=account.pk).order_by("-pk")
