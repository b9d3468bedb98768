"""Trusted devices for staff: to be looked at, and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts import devices
from garrison.admin import CappedPaginator, ReadOnlyAdmin

if TYPE_CHECKING:
    from django.http import HttpRequest

    from accounts.models.trusted_device import TrustedDeviceQuerySet


class TrustedDeviceAdmin(ReadOnlyAdmin):
    """Devices can be looked at and trusted no longer; nobody makes one here."""

    actions = ("revoke",)  # type: ignore[assignment]  # the base has none
    list_display = ("user", "name", "ip", "last_used_at", "created_at", "expires_at")
    list_select_related = ("user",)
    ordering = ("-last_used_at",)
    paginator = CappedPaginator
    fields = list_display

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Require the right to delete them."""
        return request.user.has_perm("accounts.delete_trusteddevice")

    @admin.action(description=_("Trust selected devices no longer"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: TrustedDeviceQuerySet) -> None:
        """Revoke each; each is an event."""
        chosen = list(queryset.select_related("user"))
        with transaction.atomic():
            for device in chosen:
                devices.revoke(user=device.user, device_id=device.pk, by=request.user)
        text = ngettext(
            "%(count)d device is trusted no longer.",
            "%(count)d devices are trusted no longer.",
            len(chosen),
        )
        self.message_user(request, text % {"count": len(chosen)}, messages.SUCCESS)
