"""A person's own sign-ins, read from the recorded events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts import events
from accounts.attempt import target_of
from audit.models import SecurityEvent

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from audit.models import SecurityEventQuerySet


def sign_ins_of(*, user: AbstractBaseUser) -> SecurityEventQuerySet:
    """Return the sign-ins of a person, successes and failures; an index answers each page."""
    kinds = [events.LOGIN_SUCCEEDED, events.LOGIN_FAILED]
    return SecurityEvent.objects.for_target(target_of(user)).of_kinds(kinds)
