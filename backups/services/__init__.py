"""The verbs of backups."""

from backups.services.backing_up import (
    backup_now,
    queue_due,
    request_backup,
    run_backup,
    run_queued,
)
from backups.services.drilling import drill_now, queue_due_drill, request_drill, run_drill
from backups.services.finding import find
from backups.services.planning import plan
from backups.services.pruning import forget_target, prune, pruning_after
from backups.services.rescuing import bring_files, bring_table, find_files
from backups.services.resealing import reseal_manifests
from backups.services.restoring import restore
from backups.services.verifying import verify
from backups.services.watching import BackupStatus, check_backups, status

__all__ = [
    "BackupStatus",
    "backup_now",
    "bring_files",
    "bring_table",
    "check_backups",
    "drill_now",
    "find",
    "find_files",
    "forget_target",
    "plan",
    "prune",
    "pruning_after",
    "queue_due",
    "queue_due_drill",
    "request_backup",
    "request_drill",
    "reseal_manifests",
    "restore",
    "run_backup",
    "run_drill",
    "run_queued",
    "status",
    "verify",
]
