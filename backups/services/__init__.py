"""The verbs of backups."""

from backups.services.backing_up import (
    ask_for_backup,
    backup_now,
    queue_due,
    run_backup,
    run_queued,
)
from backups.services.drilling import ask_for_drill, drill_now, queue_due_drill, run_drill
from backups.services.finding import find
from backups.services.planning import plan
from backups.services.pruning import prune
from backups.services.rescuing import bring_table
from backups.services.resealing import reseal_manifests
from backups.services.restoring import restore
from backups.services.verifying import verify
from backups.services.watching import Standing, look_out, standing

__all__ = [
    "Standing",
    "ask_for_backup",
    "ask_for_drill",
    "backup_now",
    "bring_table",
    "drill_now",
    "find",
    "look_out",
    "plan",
    "prune",
    "queue_due",
    "queue_due_drill",
    "reseal_manifests",
    "restore",
    "run_backup",
    "run_drill",
    "run_queued",
    "standing",
    "verify",
]
