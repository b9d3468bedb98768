"""The records of django-axes, to look at."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin

from accounts import axes_records
from garrison.admin import CappedPaginator, ReadOnlyAdmin


class AccessAttemptAdmin(ReadOnlyAdmin):
    """One row for each name and address; there is nothing in it to change."""

    list_display = ("username", "ip_address", "failures_since_start", "attempt_time")
    fields = list_display
    ordering = ("-id",)
    paginator = CappedPaginator
    search_fields = ("username__exact", "ip_address__exact")


def register_axes_attempts() -> None:
    """Show one page where axes' own three, of which two are always empty here, are turned off."""
    if not axes_records.is_installed() or getattr(settings, "AXES_ENABLE_ADMIN", True):
        return
    from axes.models import AccessAttempt

    admin.site.register(AccessAttempt, AccessAttemptAdmin)
