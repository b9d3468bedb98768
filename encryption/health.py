"""What encryption reports of its health."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Sum
from django.utils import timezone

from encryption.conf import settings
from encryption.errors import KeyringUnusable
from encryption.key_versions import mismatched_ids
from encryption.keyring import keyring
from encryption.models import DecryptionFailureCount, KeyVersion
from garrison import health
from garrison.health import CheckResult, Status


@health.register("encryption")
def encryption() -> CheckResult:
    """Look at the keys, their age, and whether anything could not be read in the last day."""
    try:
        ring = keyring()
    except KeyringUnusable as problem:
        return CheckResult(Status.UNHEALTHY, str(problem))
    if wrong := mismatched_ids(ring):
        names = ", ".join(wrong)
        return CheckResult(
            Status.UNHEALTHY, f"Not the keys this database was written with: {names}."
        )
    now = timezone.now()
    recent = DecryptionFailureCount.objects.filter(last_at__gte=now - timedelta(days=1))
    if failed := recent.aggregate(n=Sum("count"))["n"]:
        return CheckResult(
            Status.DEGRADED, f"{failed} values could not be decrypted in the last 24 hours."
        )
    version = KeyVersion.objects.filter(pk=ring.active.id).first()
    days = (now - version.first_seen_at).days if version else 0
    if days > settings.key_max_age_days:
        return CheckResult(
            Status.DEGRADED, f"The active key {ring.active.id!r} is {days} days old."
        )
    return CheckResult(
        Status.HEALTHY, f"Key {ring.active.id!r}, {days} days old; everything reads."
    )
