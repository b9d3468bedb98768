"""Whether mails leave: codes and notices wait in rows until the mail server takes them."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, Min
from django.utils import timezone
from django.utils.timesince import timesince

from accounts.models import OutgoingMail
from garrison import health

WAITED_TOO_LONG = timedelta(minutes=10)  # as long as a code is good for, by default


@health.register("mails")
def waiting_mails() -> health.CheckResult:
    """Look for mails that wait too long; the site goes on without them."""
    late = OutgoingMail.objects.filter(queued_at__lt=timezone.now() - WAITED_TOO_LONG)
    found = late.aggregate(count=Count("pk"), since=Min("queued_at"))
    if not found["count"]:
        return health.CheckResult(health.Status.HEALTHY)
    return health.CheckResult(
        health.Status.DEGRADED,
        f"Mails wait to be sent: {found['count']}, the oldest for {timesince(found['since'])}. "
        "Look for the mail server's error in the log, and whether beat or `send_mails` runs.",
    )
