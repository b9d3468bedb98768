"""Who may look and who may ask: Django's model permissions, by method and view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission

from backups import requests

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView


class BackupPermission(BasePermission):
    """Reading needs ``view_backup``; asking needs the view's ``asks`` and a fresh session."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Look at the user's permissions."""
        name = "view_backup" if request.method in {"GET", "HEAD", "OPTIONS"} else view.asks  # type: ignore[attr-defined]
        if not request.user.has_perm(f"backups.{name}"):
            return False
        if name != "view_backup":
            requests.require_fresh(request)
        return True
