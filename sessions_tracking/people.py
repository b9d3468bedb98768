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
    users = get_user_model()._default_manager
    try:
        return users.get_by_natural_key(text)
    except ObjectDoesNotExist:
        pass
    try:
        return users.get(pk=text)
    except (ObjectDoesNotExist, ValidationError, ValueError):
        raise CommandError(f"There is no user {text!r}, by login name or by key.") from None
