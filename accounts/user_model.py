"""What this app needs of a host's own user model, and what works without it.

Signing in, lockout, the profile and the history work with any user model. Registering, proving the
address and renaming need three fields, which :class:`accounts.models.User` has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model

if TYPE_CHECKING:
    from django.db.models import Model

NEEDED_TO_REGISTER = ("email", "name", "email_verified_at")


def missing_fields() -> list[str]:
    """Name the fields that the user model lacks for registering; empty where it is complete."""
    present = {field.name for field in get_user_model()._meta.get_fields()}
    return [name for name in NEEDED_TO_REGISTER if name not in present]


def can_be_deactivated(model: type[Model]) -> bool:
    """Return whether ``is_active`` is a column; in Django's abstract user it is a constant."""
    return any(field.name == "is_active" for field in model._meta.concrete_fields)
