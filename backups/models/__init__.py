"""Rows of backups: runs, their copies, drills, stored files, leases."""

from backups.models.backup import Backup, BackupQuerySet, Copy, Drill
from backups.models.lease import Lease
from backups.models.run import State
from backups.models.stored_file import SeenFile, StoredFile, WaitingDeletion

__all__ = [
    "Backup",
    "BackupQuerySet",
    "Copy",
    "Drill",
    "Lease",
    "SeenFile",
    "State",
    "StoredFile",
    "WaitingDeletion",
]
