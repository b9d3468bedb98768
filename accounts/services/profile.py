"""What people see and change of their own account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from accounts import events
from accounts.attempt import target_of
from audit.models import SecurityEvent
from garrison.events import emit

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from accounts.models import User
    from audit.models import SecurityEventQuerySet


def rename(*, user: User, name: str) -> None:
    """Change a person's name; nothing is written or emitted where it is the same."""
    if user.name == name:
        return
    with transaction.atomic():
        user.name = name
        user.save(update_fields=["name"])
        emit(events.PROFILE_CHANGED, actor=user, target=target_of(user), data={"fields": ["name"]})


def sign_ins_of(*, user: AbstractBaseUser) -> SecurityEventQuerySet:
    """Return the sign-ins of a person, successes and failures; an index answers each page."""
    kinds = [events.LOGIN_SUCCEEDED, events.LOGIN_FAILED]
    return SecurityEvent.objects.for_target(target_of(user)).of_kinds(kinds)
