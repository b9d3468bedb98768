"""What accounts shows on the security dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from accounts import events
from accounts.models import LockoutBucket
from audit.models import SecurityEvent
from garrison import panels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

MOST_ROWS = 8


@panels.register
class FailedSignIns(panels.Panel):
    """Who failed to sign in of late, from where, and why."""

    slug = "failed-sign-ins"
    title = "Failed sign-ins"
    template = "accounts/panels/failed_sign_ins.html"
    permission = "audit.view_securityevent"
    width = 6
    order = 30

    def context(self, *, request: HttpRequest, window: panels.Window) -> Mapping[str, Any]:  # noqa: ARG002
        """Give the newest; one query on an index."""
        failed = SecurityEvent.objects.of_kinds([events.LOGIN_FAILED]).since(window.start)
        return {"rows": list(failed.newest(MOST_ROWS))}


@panels.register
class LockedAccounts(panels.Panel):
    """What is locked at this moment, and until when."""

    slug = "locked-accounts"
    title = "Locked accounts and addresses"
    template = "accounts/panels/locked_accounts.html"
    permission = "accounts.view_lockoutbucket"
    width = 6
    order = 35

    def context(self, *, request: HttpRequest, window: panels.Window) -> Mapping[str, Any]:  # noqa: ARG002
        """Give the longest locks; one query on a partial index."""
        locked = LockoutBucket.objects.locked(now=timezone.now()).select_related("user")
        return {"rows": list(locked[:MOST_ROWS])}


@panels.figure(
    "locked_accounts",
    label="Locked accounts",
    permission="accounts.view_lockoutbucket",
    link="admin:accounts_lockoutbucket_changelist",
    tone="warning",
    order=50,
)
def locked_accounts(window: panels.Window) -> int:  # noqa: ARG001 - locked is a matter of now
    """Buckets of accounts that refuse at this moment, names of nobody included."""
    locked = LockoutBucket.objects.locked(now=timezone.now())
    return locked.accounts().count()
