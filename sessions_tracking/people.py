"""Finding the user an operator means."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.management.base import CommandError


def find_user(text: str) -> Any:
    """Find a user by login name, in any spelling their model folds, or by key.

    Raises ``CommandError`` where there is none.
    """
    user = user_named(text) or _user_with_key(text)
    if user is None:
        raise CommandError(f"There is no user {text!r}, by login name or by key.")
    return user


def user_named(name: str) -> Any | None:
    """Find a user by login name; ``None`` where nobody has it."""
    if "\x00" in name:  # PostgreSQL's text holds none, and would not even be asked
        return None
    try:
        return get_user_model()._default_manager.get_by_natural_key(name)
    except ObjectDoesNotExist:
        return None


def _user_with_key(text: str) -> Any | None:
    try:
        return get_user_model()._default_manager.filter(pk=text).first()
    except (ValidationError, ValueError, OverflowError):
        return None
