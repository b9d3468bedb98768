"""What the health report says of backups."""

from __future__ import annotations

from django.utils import timezone

from backups.services import status
from garrison import health
from garrison.health import CheckResult, Status


@health.register("backups")
def backups() -> CheckResult:
    """Unhealthy without a recent, whole backup; degraded where a proof is overdue."""
    found = status(now=timezone.now())
    if found.is_backup_overdue:
        newest = found.newest and found.newest.snapshot_at
        told = f"the newest is of {newest:%Y-%m-%d %H:%M} UTC" if newest else "there is none at all"
        return CheckResult(Status.UNHEALTHY, f"No good backup within the limit: {told}.")
    if found.damaged:
        return CheckResult(Status.UNHEALTHY, f"Verification found {found.damaged} damaged backups.")
    return _proofs(found.is_drill_overdue, found.is_identity_unproven, found.failed_copies)


def _proofs(is_drill_overdue: bool, is_identity_unproven: bool, failed_copies: int) -> CheckResult:  # noqa: FBT001
    if is_drill_overdue:
        return CheckResult(Status.DEGRADED, "No drill has passed within the limit.")
    if is_identity_unproven:
        return CheckResult(Status.DEGRADED, "No identity has opened a backup for too long.")
    if failed_copies:
        return CheckResult(
            Status.DEGRADED, f"The newest backup is missing on {failed_copies} targets."
        )
    return CheckResult(Status.HEALTHY, "The newest backup is recent and whole.")
