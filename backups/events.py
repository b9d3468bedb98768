"""The kinds of events that backups emits."""

from __future__ import annotations

from functools import partial

from garrison.events import Delivery, EventKind, Outcome, Severity

# What fails is recorded with the change of state that says so.
_failure = partial(EventKind, outcome=Outcome.FAILURE, delivery=Delivery.WITH_CHANGE)

BACKUP_REQUESTED = EventKind(
    "backups.backup.requested", Severity.INFO, "Somebody or the schedule asked for a backup."
)
BACKUP_CREATED = EventKind(
    "backups.backup.created", Severity.INFO, "A backup was completed on at least one target."
)
BACKUP_FAILED = _failure("backups.backup.failed", Severity.HIGH, "A backup ended without a result.")
BACKUP_MISSED = _failure(
    "backups.backup.missed", Severity.HIGH, "There is no good backup within the limit."
)
COPY_FAILED = _failure(
    "backups.copy.failed", Severity.HIGH, "One of several targets could not store a backup."
)
LEASE_EXPIRED = _failure(
    "backups.lease.expired", Severity.MEDIUM, "A run stopped answering and was declared dead."
)
BACKUP_VERIFIED = EventKind(
    "backups.backup.verified", Severity.INFO, "Every byte of a backup was read and found right."
)
VERIFICATION_FAILED = _failure(
    "backups.verification.failed",
    Severity.HIGH,
    "A backup is damaged, incomplete, not genuine, or cannot be opened.",
)
VERIFICATION_INDETERMINATE = _failure(
    "backups.verification.indeterminate",
    Severity.MEDIUM,
    "A key or a target was out of reach, so a verification could not decide about a backup.",
)
FILE_LOST = _failure(
    "backups.file.lost",
    Severity.HIGH,
    "An encrypted file that backups need is gone from a target, or damaged there.",
)
FILE_ALTERED = _failure(
    "backups.file.altered",
    Severity.HIGH,
    "A file's content is another one although its size, times and inode are as before: its disk "
    "has damaged it, or somebody hides a change.",
)
FILES_UNREADABLE = _failure(
    "backups.files.unreadable",
    Severity.HIGH,
    "A backup was made without some files, which could not be read, or without any, although the "
    "last one had some.",
)
BACKUP_PRUNED = EventKind(
    "backups.backup.pruned", Severity.INFO, "A backup was deleted because its time had come."
)
PRUNING_HELD = _failure(
    "backups.pruning.held",
    Severity.HIGH,
    "Two clocks differ, or more backups than usual would have been pruned; none was.",
)
TARGET_FORGOTTEN = EventKind(
    "backups.target.forgotten", Severity.MEDIUM, "The copies on a target were given up."
)
DRILL_PASSED = EventKind(
    "backups.drill.passed", Severity.INFO, "A backup was restored into a scratch database, whole."
)
DRILL_FAILED = _failure(
    "backups.drill.failed", Severity.CRITICAL, "A drill found that a backup does not restore whole."
)
DRILL_MISSED = _failure(
    "backups.drill.missed", Severity.MEDIUM, "No drill has passed within the limit."
)
IDENTITY_UNPROVEN = _failure(
    "backups.identity.unproven",
    Severity.HIGH,
    "No identity has opened a backup for so long that the key may be lost.",
)
POINT_IN_TIME_FAILED = _failure(
    "backups.point_in_time.failed",
    Severity.HIGH,
    "pgBackRest or WAL-G has no recent base backup, or does not archive the log.",
)
CONDITION_ENDED = EventKind(
    "backups.condition.ended",
    Severity.INFO,
    "What was missed, overdue or unproven is so no longer; its kind stands in the data.",
)
RESTORE_STARTED = EventKind(
    "backups.restore.started", Severity.HIGH, "A restore over existing data was begun."
)
RESTORE_COMPLETED = EventKind(
    "backups.restore.completed", Severity.HIGH, "Data was replaced from a backup."
)
RESTORE_REFUSED = EventKind(
    "backups.restore.refused",
    Severity.MEDIUM,
    "A restore was refused or rolled back; what the reason does not name as restored is as before.",
    outcome=Outcome.REFUSED,
)
KEY_GENERATED = EventKind(
    "backups.key.generated", Severity.MEDIUM, "A new age identity was generated."
)
BACKUP_RESEALED = EventKind(
    "backups.backup.resealed", Severity.MEDIUM, "A backup was encrypted again to the present keys."
)
INDEX_REBUILT = EventKind(
    "backups.index.rebuilt", Severity.MEDIUM, "The index was rebuilt from what the targets hold."
)
