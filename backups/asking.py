"""What the admin and the API ask for: the same row, the same queue, the same guard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils.module_loading import import_string

from backups import services
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


def backup(*, user: Any, content: str = Content.ALL, now: datetime) -> Backup:
    """Queue a backup and wake a worker once the row is committed."""
    from backups import tasks

    with transaction.atomic():
        asked = services.ask_for_backup(user=user, content=content, now=now)
        transaction.on_commit(tasks.work_off.delay)
    return asked


def verification(*, backup_id: uuid.UUID) -> Backup:
    """Have a worker verify a good backup."""
    from backups import tasks

    found = good_backup(backup_id)
    transaction.on_commit(lambda: tasks.verify.delay(str(found.pk)))
    return found


def drill(*, user: Any, backup_id: uuid.UUID | None, now: datetime) -> Drill:
    """Queue a drill and wake a worker once the row is committed."""
    from backups import tasks

    with transaction.atomic():
        asked = services.ask_for_drill(user=user, backup_id=backup_id, now=now)
        transaction.on_commit(tasks.work_off.delay)
    return asked
