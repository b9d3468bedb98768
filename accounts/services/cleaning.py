"""Removing rows that decide nothing any more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts import axes_records
from accounts.conf import settings
from accounts.letters import LOCKOUT_WINDOW, MAIL_WINDOW
from accounts.models import LockoutBucket, MailedCode, PendingSignIn, TrustedDevice
from accounts.user_model import missing_fields

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

BATCH_ROWS = 1000
JUDGED_BY = (
    "joined_at",
    "email_verified_at",
    "last_login",
    "is_active",
    "is_staff",
    "is_superuser",
)


def clean(*, now: datetime | None = None, batch_rows: int = BATCH_ROWS) -> dict[str, int]:
    """Delete what has expired, idle buckets and old records of django-axes; return the counts.

    Accounts that were never verified go too, see :func:`delete_unverified`. A bucket is kept for as
    long as it remembers how many locks followed each other, so cleaning never shortens a lock or
    makes the next one start short. In batches, and harmless when run twice or at once.
    """
    now = now or timezone.now()
    longest = max(settings.lockout_window_seconds, settings.lockout_max_seconds)
    kept_for = max(timedelta(seconds=longest), MAIL_WINDOW, LOCKOUT_WINDOW)
    over = {
        "codes": MailedCode.objects.filter(expires_at__lte=now),
        "devices": TrustedDevice.objects.over(now=now),
        "pending_sign_ins": PendingSignIn.objects.filter(expires_at__lte=now),
        "buckets": LockoutBucket.objects.idle_since(now - kept_for),
        "axes_attempts": axes_records.older_than(now - kept_for),
    }
    deleted = {name: _delete(rows, batch_rows) for name, rows in over.items()}
    return deleted | {"unverified": delete_unverified(now=now, batch_rows=batch_rows)}


def _delete(rows: QuerySet[Any] | None, batch_rows: int) -> int:
    """Delete in batches; what is no longer over when its batch is deleted stays."""
    total = 0
    while rows is not None and (keys := list(rows.values_list("pk", flat=True)[:batch_rows])):
        total += rows.filter(pk__in=keys).delete()[0]
    return total


def delete_unverified(*, now: datetime, batch_rows: int = BATCH_ROWS) -> int:
    """Delete accounts that a stranger may have made and nobody used, after so many days.

    Those whose address was never verified, that never signed in, are no staff, and to which no row
    of any table points, a mailed code that is still good among them.
    """
    if not settings.keep_unverified_days or missing_fields(JUDGED_BY):
        return 0
    total = 0
    while deleted := _delete_some(now - timedelta(days=settings.keep_unverified_days), batch_rows):
        total += deleted
    return total


def _delete_some(joined_before: datetime, batch_rows: int) -> int:
    with transaction.atomic():
        # Whoever verifies one in this moment holds its row, and keeps the account.
        free = _unused(joined_before).select_for_update(skip_locked=True, of=("self",))
        keys = list(free.values_list("pk", flat=True)[:batch_rows])
        if keys:
            get_user_model()._default_manager.filter(pk__in=keys).delete()
    return len(keys)


def _unused(joined_before: datetime) -> QuerySet[Any]:
    model = get_user_model()
    rows: QuerySet[Any] = model._default_manager.filter(
        joined_at__lt=joined_before,
        email_verified_at__isnull=True,
        last_login__isnull=True,
        is_active=True,
        is_staff=False,
        is_superuser=False,
    )
    pointing: list[tuple[Any, str]] = [
        (rel.related_model, rel.field.name) for rel in model._meta.related_objects
    ]
    pointing += [
        (field.remote_field.through, field.m2m_field_name()) for field in model._meta.many_to_many
    ]
    for other, name in pointing:
        rows = rows.exclude(Exists(other._base_manager.filter(**{name: OuterRef("pk")})))
    return rows
