"""Rows of backups: runs, their copies, drills, stored files, leases."""

from backups.models.backup import Backup, BackupQuerySet, Copy
from backups.models.drill import Drill
from backups.models.lease import Lease
from backups.models.run import State
from backups.models.seen_file import SeenFile
from backups.models.stored_file import StoredFile, WaitingDeletion

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
