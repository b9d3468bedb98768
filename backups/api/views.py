"""Endpoints: read the input, ask for the work, write the row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from backups import requests
from backups.api.permissions import BackupPermission
from backups.api.serializers import BackupInput, BackupOutput, NothingInput
from backups.errors import BackupNotFound
from backups.models import Backup

if TYPE_CHECKING:
    import uuid

    from rest_framework.request import Request


class NewestFirst(CursorPagination):
    """Pages by key, newest first."""

    ordering = "-queued_at"
    page_size = 50


class BackupListView(ListAPIView[Backup]):
    """The backups, and the way to ask for one."""

    permission_classes = (IsAuthenticated, BackupPermission)
    serializer_class = BackupOutput
    pagination_class = NewestFirst
    queryset = Backup.objects.prefetch_related("copies")
    asks = "add_backup"

    @extend_schema(request=BackupInput, responses={202: BackupOutput})
    def post(self, request: Request) -> Response:
        """Queue a backup; a worker makes it."""
        given = BackupInput(data=request.data)
        given.is_valid(raise_exception=True)
        asked = requests.request_backup(
            user=request.user, content=given.validated_data["content"], now=timezone.now()
        )
        return Response(BackupOutput(asked).data, status=status.HTTP_202_ACCEPTED)


def _backup(backup_id: uuid.UUID) -> Backup:
    found = Backup.objects.filter(pk=backup_id).prefetch_related("copies").first()
    if found is None:
        raise BackupNotFound(f"There is no backup {backup_id}.")
    return found


class BackupView(APIView):
    """One backup."""

    permission_classes = (IsAuthenticated, BackupPermission)
    asks = "add_backup"

    @extend_schema(responses={200: BackupOutput})
    def get(self, request: Request, backup_id: uuid.UUID) -> Response:  # noqa: ARG002
        """Show it."""
        return Response(BackupOutput(_backup(backup_id)).data)


class VerifyView(APIView):
    """The verification of one backup."""

    permission_classes = (IsAuthenticated, BackupPermission)
    asks = "verify_backup"

    @extend_schema(request=None, responses={202: BackupOutput})
    def post(self, request: Request, backup_id: uuid.UUID) -> Response:
        """Have a worker read every byte; what it finds will stand in the backup."""
        given: Any = NothingInput(data=request.data or {})
        given.is_valid(raise_exception=True)
        found = requests.request_verification(backup_id=backup_id)
        return Response(BackupOutput(found).data, status=status.HTTP_202_ACCEPTED)
