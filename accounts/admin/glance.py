"""What staff see of a person at a glance, looked up for a page of the list at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count

from accounts import lockout
from accounts.models import LockoutBucket
from sessions_tracking.models import Session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from accounts.models import User


def glance_at(users: Sequence[User], *, now: datetime) -> None:
    """Set ``locked_until`` and ``alive_sessions`` of each; two statements."""
    keys = {user.pk: lockout.account_key(user.get_username()) for user in users}
    locked = LockoutBucket.objects.locked(now=now).filter(key__in=keys.values())
    until = dict(locked.values_list("key", "locked_until"))
    alive = Session.objects.alive(now=now).filter(user__in=keys)
    counted = dict(alive.order_by().values_list("user").annotate(n=Count("pk")))
    for user in users:
        user.locked_until = until.get(keys[user.pk])  # type: ignore[attr-defined]  # for the list
        user.alive_sessions = counted.get(user.pk, 0)  # type: ignore[attr-defined]
