"""Endpoints: look at the index, or ask for work and get its row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone
from rest_framework.permissions import BasePermission, IsAuthenticated

from backups import requests
from backups.api.serializers import BackupInput, BackupOutput, BackupsOutput
from backups.errors import BackupNotFound, BackupNotGood
from backups.models import Backup
from http_hardening.api.operations import operation
from http_hardening.api.paging import Page, page_of
from http_hardening.api.serializers import PageQuery
from http_hardening.api.strict_view import StrictAPIView

if TYPE_CHECKING:
    import uuid

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


class BackupsAPIView(StrictAPIView):
    """Base of the doors: looking needs one permission, asking the one that ``asks`` names."""

    permission_classes = (IsAuthenticated, BackupPermission)
    asks = "add_backup"


class BackupListView(BackupsAPIView):
    """The backups, and the way to ask for one."""

    @operation(query=PageQuery, returns=BackupsOutput)
    def get(self, *, cursor: str, limit: int) -> Page[Backup]:
        """List a page of backups, newest first."""
        rows = Backup.objects.prefetch_related("copies")
        return page_of(
            rows, of="backups", cursor=cursor, limit=limit, newest_by=("queued_at", "pk")
        )

    @operation(body=BackupInput, returns=BackupOutput, status=202)
    def post(self, *, content: str) -> Backup:
        """Queue a backup; a worker makes it."""
        return requests.request_backup(user=self.request.user, content=content, now=timezone.now())


class BackupView(BackupsAPIView):
    """One backup."""

    @operation(returns=BackupOutput, refuses=(BackupNotFound,))
    def get(self, backup_id: uuid.UUID) -> Any:
        """Show one backup."""
        found = Backup.objects.filter(pk=backup_id).prefetch_related("copies").first()
        if found is None:
            raise BackupNotFound(f"There is no backup {backup_id}.")
        return found


class VerifyView(BackupsAPIView):
    """The verification of one backup."""

    asks = "verify_backup"

    @operation(returns=BackupOutput, status=202, refuses=(BackupNotFound, BackupNotGood))
    def post(self, backup_id: uuid.UUID) -> Backup:
        """Verify a backup: a worker reads every byte; what it finds will stand in the backup."""
        return requests.request_verification(backup_id=backup_id)
