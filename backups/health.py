"""The health check of backups."""

from __future__ import annotations

from django.utils import timezone

from backups import point_in_time
from backups.models import Lease
from backups.services import pruning, status
from garrison import health
from garrison.health import CheckResult, Status


@health.register("backups")
def backups() -> CheckResult:
    """Unhealthy without a recent, whole backup; degraded where a proof is overdue."""
    found = status(now=timezone.now())
    if found.is_backup_overdue:
        newest = found.newest_at
        since = (
            f"the newest is of {newest:%Y-%m-%d %H:%M} UTC" if newest else "there is none at all"
        )
        return CheckResult(Status.UNHEALTHY, f"No good backup within the limit: {since}.")
    if found.damaged:
        return CheckResult(Status.UNHEALTHY, f"Verification found {found.damaged} damaged backups.")
    overdue = (
        (found.failed_since, f"{found.failed_since} backups failed since the newest good one."),
        (
            Lease.objects.has_notice(pruning.HELD),
            "Pruning is held back; run: manage.py backup_prune --dry-run",
        ),
        (found.newest_at is None, "There is no backup yet; the first is made tonight."),
        (
            found.indeterminate,
            f"The verification of {found.indeterminate} backups is indeterminate.",
        ),
        (found.is_drill_overdue, "No drill has passed within the limit."),
        (found.is_identity_unproven, "No identity has opened a backup for too long."),
        (found.failed_copies, f"The newest backup is missing on {found.failed_copies} targets."),
    )
    for is_overdue, sentence in overdue:
        if is_overdue:
            return CheckResult(Status.DEGRADED, sentence)
    return CheckResult(Status.HEALTHY, "The newest backup is recent and whole.")


@health.register("point in time")
def recovery_to_a_point_in_time() -> CheckResult:
    """Degraded where pgBackRest or WAL-G cannot be relied on."""
    found = point_in_time.look(now=timezone.now())
    if found is None:
        return CheckResult(Status.HEALTHY, "Not used: BACKUPS_POINT_IN_TIME is empty.")
    if found.problem:
        return CheckResult(Status.DEGRADED, f"{found.tool}: {found.problem}")
    return CheckResult(Status.HEALTHY, f"{found.tool} has a recent base backup.")
