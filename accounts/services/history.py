"""A person's own sign-ins, read from the recorded events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from accounts import events
from accounts.attempt import target_of
from audit.models import SecurityEvent

if TYPE_CHECKING:
    import uuid

    from django.contrib.auth.base_user import AbstractBaseUser

PAGE_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, newest first; ``next`` is the cursor of the page after it, or ``None``."""

    results: list[SecurityEvent]
    next: uuid.UUID | None


def sign_ins_of(*, user: AbstractBaseUser, cursor: uuid.UUID | None = None) -> Page:
    """Return a page of the sign-ins of a person, successes and failures; one indexed query.

    A cursor is the key of the last event of the page before; whatever it is, only the person's own
    events are shown.
    """
    kinds = [events.LOGIN_SUCCEEDED, events.LOGIN_FAILED]
    rows = SecurityEvent.objects.for_target(target_of(user)).of_kinds(kinds)
    if cursor is not None:
        rows = rows.older_than(cursor)
    found = list(rows.newest(PAGE_LENGTH + 1))
    page = found[:PAGE_LENGTH]
    return Page(results=page, next=page[-1].pk if len(found) > PAGE_LENGTH else None)
