"""The verbs of backups."""

from backups.services.backing_up import (
    ask_for_backup,
    backup_now,
    queue_due,
    run_backup,
    run_queued,
)

__all__ = ["ask_for_backup", "backup_now", "queue_due", "run_backup", "run_queued"]
