"""Whether old rows are being cleaned away."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from garrison import health
from garrison.health import CheckResult, Status
from sessions_tracking.conf import settings
from sessions_tracking.models import Session

LATE_DAYS = 2  # the job runs every night, so one missed night is no news


@health.register("session cleaning")
def check_cleaning() -> CheckResult:
    """Find rows that should have been deleted two days ago."""
    kept = timedelta(days=settings.keep_ended_days + LATE_DAYS)
    if not Session.objects.over_since(timezone.now() - kept).exists():
        return CheckResult(Status.HEALTHY, "No session's row is kept longer than it should be.")
    return CheckResult(
        Status.DEGRADED,
        f"Rows of sessions are still there {LATE_DAYS} days after they should have been deleted. "
        "Is beat running? `manage.py clean_sessions` deletes them now.",
    )
