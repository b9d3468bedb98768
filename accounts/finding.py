"""Finding an account by what somebody typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model

from accounts.login_name import acceptable

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


def find_account(login_name: str) -> AbstractBaseUser | None:
    """Find the account with this name, in any spelling its model knows; or ``None``.

    Works with whatever ``AUTH_USER_MODEL`` is. A name that no account can have is not looked up.
    """
    if acceptable(login_name) is None:
        return None
    model = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(login_name)
    except model.DoesNotExist:  # an answer like any other; callers treat both alike in time
        return None
