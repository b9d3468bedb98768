"""Who may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.permissions import BasePermission

if TYPE_CHECKING:
    from rest_framework.request import Request


class IsStaff(BasePermission):
    """Staff, signed in and active."""

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002
        """Tell."""
        user = request.user
        return bool(user and user.is_active and getattr(user, "is_staff", False))


class SeesEvents(IsStaff):
    """Staff who may view security events."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Tell."""
        is_staff = super().has_permission(request, view)
        return is_staff and request.user.has_perm("audit.view_securityevent")
