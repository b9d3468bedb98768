"""What is locked, and unlocking it; and the failures as django-axes records them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import F
from django.utils import timezone
from django.utils.html import format_html

from accounts import axes_records, services
from garrison.admin import CappedPaginator, ReadOnlyAdmin

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    from accounts.models import LockoutBucket

LOCKED = "locked"


class LockedFilter(admin.SimpleListFilter):
    """Show what is locked now."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """Offer the one state worth looking for."""
        return [(LOCKED, "Locked now")]

    def queryset(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[LockoutBucket],
    ) -> QuerySet[LockoutBucket]:
        """Keep what is locked, where asked for."""
        if self.value() != LOCKED:
            return queryset
        return queryset.filter(locked_until__gt=timezone.now())


class LockoutBucketAdmin(ReadOnlyAdmin):
    """Buckets can be looked at and unlocked, and not written to."""

    actions = ("unlock",)  # type: ignore[assignment]  # the base has none
    list_display = ("label", "locked_now", "taken", "places", "locks", "locked_until")
    list_filter = (LockedFilter,)
    list_select_related = ("user",)
    ordering = (F("locked_until").desc(nulls_last=True), "-window_started_at")
    paginator = CappedPaginator
    fields = ("label", "taken", "places", "window_started_at", "locked_until", "locks", "user")

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        """Require the right to change accounts: unlocking is part of looking after them."""
        return request.user.has_perm("accounts.change_lockoutbucket")

    @admin.display(description="state")
    def locked_now(self, bucket: LockoutBucket) -> SafeString | None:
        """Return whether it refuses at this moment."""
        if not bucket.is_locked(now=timezone.now()):
            return None
        return format_html('<span class="sd-badge sd-is-high">{}</span>', "locked")

    @admin.action(description="Unlock, and forget the failures", permissions=["unlock"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[LockoutBucket]) -> None:
        """Unlock each; each is an event."""
        buckets = list(queryset.select_related("user"))
        for bucket in buckets:
            services.unlock_bucket(bucket=bucket, by=request.user)
        self.message_user(request, f"{len(buckets)} unlocked.", messages.SUCCESS)


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
