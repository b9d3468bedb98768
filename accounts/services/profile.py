"""What people do to their own account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from accounts import events
from accounts.attempt import target_of
from garrison.events import emit

if TYPE_CHECKING:
    from accounts.models import User


def rename(*, user: User, name: str) -> None:
    """Change a person's name; nothing is written or emitted where it is the same."""
    if user.name == name:
        return
    with transaction.atomic():
        user.name = name
        user.save(update_fields=["name"])
        emit(events.PROFILE_CHANGED, actor=user, target=target_of(user), data={"fields": ["name"]})
