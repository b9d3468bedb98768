"""Requests of the admin and the API: the same row, the same queue, the same guard."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from backups import services, tasks
from backups.conf import settings
from backups.models.backup import Content
from backups.services.verifying import good_backup

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from django.http import HttpRequest

    from backups.models import Backup, Drill


def require_fresh(request: HttpRequest) -> None:
    """Let ``BACKUPS_REQUIRE_FRESH`` refuse a session that has not signed in lately."""
    if settings.require_fresh:
        import_string(settings.require_fresh)(request)


def request_backup(*, user: Any, content: str = Content.ALL, now: datetime) -> Backup:
    """Queue a backup and wake a worker once the row is committed."""
    queued = services.request_backup(user=user, content=content, now=now)
    transaction.on_commit(tasks.work_off.delay)
    return queued


def request_verification(*, backup_id: uuid.UUID) -> Backup:
    """Have a worker verify a good backup."""
    found = good_backup(backup_id, now=timezone.now())
    transaction.on_commit(partial(tasks.verify.delay, str(found.pk)))
    return found


def request_drill(*, user: Any, backup_id: uuid.UUID | None, now: datetime) -> Drill:
    """Queue a drill and wake a worker once the row is committed."""
    queued = services.request_drill(user=user, backup_id=backup_id, now=now)
    transaction.on_commit(tasks.work_off.delay)
    return queued
