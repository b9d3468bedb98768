"""Who may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.permissions import IsAdminUser

if TYPE_CHECKING:
    from rest_framework.request import Request


class SeesEvents(IsAdminUser):
    """Staff who may view security events."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Tell."""
        is_staff = super().has_permission(request, view)
        return is_staff and request.user.has_perm("audit.view_securityevent")
