"""The user model, which may be a host's own: what this app needs of it, and whom it holds.

Signing in, lockout, the profile and the history work with any user model. Registering, proving the
address and renaming need three fields, which :class:`accounts.models.User` has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model

from accounts.login_name import acceptable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.db.models import Model

NEEDED_TO_REGISTER = ("email", "name", "email_verified_at")


def missing_fields(needed: Sequence[str] = NEEDED_TO_REGISTER) -> list[str]:
    """Name the fields that the user model lacks, for registering if not told; empty for none."""
    present = {field.name for field in get_user_model()._meta.get_fields()}
    return [name for name in needed if name not in present]


def can_be_deactivated(model: type[Model]) -> bool:
    """Return whether ``is_active`` is a column; in Django's abstract user it is a constant."""
    return any(field.name == "is_active" for field in model._meta.concrete_fields)


def find_account(login_name: str) -> AbstractBaseUser | None:
    """Find the account with this name, in any spelling its model knows; or ``None``.

    A name that no account can have is not looked up.
    """
    if acceptable(login_name) is None:
        return None
    model = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(login_name)
    except model.DoesNotExist:  # an answer like any other; callers treat both alike in time
        return None
