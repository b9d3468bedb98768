"""What accounts shows on the security dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from accounts import events
from accounts.models import LockoutBucket
from audit import counts
from audit.models import SecurityEvent
from garrison import panels
from garrison.events import kind_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

MOST_ROWS = 8
MOST_LOOKED_AT = 60  # events; the others among them are refusals at other doors
RATE_LIMITED = kind_name("rate_limiting.request.refused", used_by=__name__)
LOGIN_ENDPOINT = "accounts:login"


@panels.register
class FailedSignIns(panels.Panel):
    """How many sign-ins failed in the window, and the newest: who, from where, and why.

    Those that the rate limit refused before they were looked at are among the newest.
    """

    slug = "failed-sign-ins"
    title = "Failed sign-ins"
    template = "accounts/panels/failed_sign_ins.html"
    permission = "audit.view_securityevent"
    width = 6
    order = 30

    def context(self, *, request: HttpRequest, window: panels.Window) -> Mapping[str, Any]:  # noqa: ARG002
        """Read the counts, and the newest by one query on an index."""
        failed = {"kinds": frozenset({events.LOGIN_FAILED.name})}
        recent = SecurityEvent.objects.of_kinds([events.LOGIN_FAILED, RATE_LIMITED])
        newest = recent.since(window.start).newest(MOST_LOOKED_AT)
        return {
            "chart": counts.counted(window).chart(self.title, {("Failed", "warning"): failed}),
            "rows": [_row(event) for event in newest if _is_sign_in(event)][:MOST_ROWS],
        }


def _row(event: SecurityEvent) -> dict[str, Any]:
    reason = event.data.get("reason")
    fingerprint = event.data.get("name_fingerprint", "")
    return {
        "at": event.at,
        "ip": event.ip,
        "account": event.data.get("account"),
        "reason": str(reason).replace("_", " ") if reason else "too many requests",
        "stranger": f"no account ({fingerprint[:8]})" if fingerprint else "not looked at",
    }


def _is_sign_in(event: SecurityEvent) -> bool:
    return event.kind != RATE_LIMITED or event.data.get("endpoint") == LOGIN_ENDPOINT


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
        """Return the longest locks; one query on a partial index."""
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
