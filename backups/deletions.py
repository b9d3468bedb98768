"""Deletions of files that wait until no backup needs them.

Give a storage this class, and a file deleted while a backup runs is deleted when the backup has
ended: its snapshot of the database still speaks of it. The deletion must come after the commit that
drops the row, as it should anyway.
"""

from __future__ import annotations

from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages
from django.utils import timezone

from backups.models import Backup, WaitingDeletion
from backups.models.backup import Content


def must_wait() -> bool:
    """Return whether a backup of files is running; its row says so before its snapshot is taken."""
    return Backup.objects.live().exclude(content=Content.DATABASE).exists()


class PatientFileSystemStorage(FileSystemStorage):
    """A file system storage whose deletions wait for a running backup."""

    def delete(self, name: str) -> None:
        """Delete now, or when the running backup has ended."""
        if not must_wait():
            return super().delete(name)
        alias = next((a for a in settings.STORAGES if storages[a] is self), "default")
        WaitingDeletion.objects.create(storage=alias, name=name, asked_at=timezone.now())
        return None


def carry_out() -> int:
    """Make up for the deletions that have waited; returns how many. Nothing while a backup runs."""
    waiting = list(WaitingDeletion.objects.all())  # before the question: no later run's
    if must_wait():
        return 0
    for row in waiting:
        if row.storage in settings.STORAGES:
            storages[row.storage].delete(row.name)
        row.delete()
    return len(waiting)
