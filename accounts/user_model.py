"""What this app needs of a host's own user model, and what works without it.

Signing in, lockout, the profile and the history work with any user model. Registering, proving the
address and renaming need three fields, which :class:`accounts.models.User` has.
"""

from __future__ import annotations

from django.contrib.auth import get_user_model

NEEDED_TO_REGISTER = ("email", "name", "email_verified_at")


def missing_fields() -> list[str]:
    """Name the fields that the user model lacks for registering; empty where it is complete."""
    present = {field.name for field in get_user_model()._meta.get_fields()}
    return [name for name in NEEDED_TO_REGISTER if name not in present]
