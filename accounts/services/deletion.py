"""Who may be deleted, or lose the power over others.

What follows from it stands in :mod:`accounts.privileges`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q

from accounts.errors import LastSuperuser, OwnAccount

if TYPE_CHECKING:
    from collections.abc import Collection


def require_deletable(*, accounts: Collection[Any], by: Any) -> None:
    """Refuse where somebody would delete themselves, or the last superuser who can sign in.

    Call it in the transaction that deletes: the accounts are locked, so that no sign-in is
    completed meanwhile. Raises :class:`~accounts.errors.OwnAccount` or
    :class:`~accounts.errors.LastSuperuser`.
    """
    if by is not None and by.pk in {account.pk for account in accounts}:
        raise OwnAccount
    require_superuser_left(accounts=accounts)


def require_superuser_left(*, accounts: Collection[Any]) -> None:
    """Refuse where no superuser who can sign in is left without these accounts.

    Call it in the transaction that deletes, deactivates or demotes them: it locks them, and
    superusers, so that of two who do it to each other one is refused. Raises
    :class:`~accounts.errors.LastSuperuser`.
    """
    keys = {account.pk for account in accounts}
    has_superuser = any(getattr(account, "is_superuser", False) for account in accounts)
    touched = Q(pk__in=keys) | Q(is_superuser=True) if has_superuser else Q(pk__in=keys)
    rows = get_user_model()._default_manager.filter(touched).order_by("pk")
    with transaction.atomic():
        locked = list(rows.select_for_update())
    others = [user for user in locked if user.pk not in keys and user.is_active]
    if has_superuser and not others:
        raise LastSuperuser
