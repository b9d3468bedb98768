"""Removing rows that decide nothing any more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from accounts import axes_records
from accounts.conf import settings
from accounts.models import LockoutBucket, MailedCode, PendingSignIn
from accounts.services.verification import MAIL_WINDOW

if TYPE_CHECKING:
    from datetime import datetime


def clean(*, now: datetime | None = None) -> dict[str, int]:
    """Delete what has expired, idle buckets and old records of django-axes; return the counts.

    A bucket is kept for as long as it remembers how many locks followed each other, so cleaning
    never shortens a lock or makes the next one start short.
    """
    now = now or timezone.now()
    codes, _ = MailedCode.objects.filter(expires_at__lte=now).delete()
    pending, _ = PendingSignIn.objects.filter(expires_at__lte=now).delete()
    longest = max(settings.lockout_window_seconds, settings.lockout_max_seconds)
    kept_for = max(timedelta(seconds=longest), MAIL_WINDOW)
    buckets, _ = LockoutBucket.objects.idle_since(now - kept_for).delete()
    return {
        "codes": codes,
        "pending_sign_ins": pending,
        "buckets": buckets,
        "axes_attempts": axes_records.clean(before=now - kept_for),
    }
