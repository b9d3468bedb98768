"""The kinds of events that backups emits."""

from __future__ import annotations

from garrison.events import Delivery, EventKind, Outcome, Severity

BACKUP_REQUESTED = EventKind(
    "backups.backup.requested", Severity.INFO, "Somebody or the schedule asked for a backup."
)
BACKUP_CREATED = EventKind(
    "backups.backup.created", Severity.INFO, "A backup was completed on at least one target."
)
BACKUP_FAILED = EventKind(
    "backups.backup.failed",
    Severity.HIGH,
    "A backup ended without a result.",
    Outcome.FAILURE,
    Delivery.WITH_CHANGE,
)
BACKUP_MISSED = EventKind(
    "backups.backup.missed",
    Severity.HIGH,
    "There is no good backup within the limit.",
    Outcome.FAILURE,
    Delivery.WITH_CHANGE,
)
COPY_FAILED = EventKind(
    "backups.copy.failed",
    Severity.HIGH,
    "One of several targets could not store a backup.",
    Outcome.FAILURE,
    Delivery.WITH_CHANGE,
)
LEASE_EXPIRED = EventKind(
    "backups.lease.expired",
    Severity.MEDIUM,
    "A run stopped answering and was declared dead.",
    Outcome.FAILURE,
    Delivery.WITH_CHANGE,
)
BACKUP_VERIFIED = EventKind(
    "backups.backup.verified", Severity.INFO, "Every byte of a backup was read and found right."
)
VERIFICATION_FAILED = EventKind(
    "backups.verification.failed",
    Severity.HIGH,
    "A backup is damaged, incomplete, not genuine, or cannot be opened.",
    Outcome.FAILURE,
    Delivery.WITH_CHANGE,
)
VERIFICATION_INDETERMINATE = EventKind(
    "backups.verification.indeterminate",
    Severity.MEDIUM,
    "A key or a target was out of reach, so a verification could not decide about a backup.",
    Outcome.FAILURE,
    Delivery.WITH_CHANGE,
)
FILE_LOST = EventKind(
    "backups.file.lost",
    Severity.HIGH,
    "An encrypted file that backups need is gone from a target, or damaged there.",
    Outcome.FAILURE,
    Delivery.WITH_CHANGE,
)
FILE_ALTERED = EventKind(
    "backups.file.altered",
    Severity.HIGH,
    "A file's content is another one although its size, times and inode are as before: its disk "
    "has damaged it, or somebody hides a change.",
    Outcome.FAILURE,
    Delivery.WITH_CHANGE,
)
FILES_UNREADABLE = EventKind(
    "backups.files.unreadable",
    Severity.HIGH,
    "A backup was made without some files, which could not be read, or without any, although the "
    "last one had some.",
    Outcome.FAILURE,
    Delivery.WITH_CHANGE,
)
BACKUP_PRUNED = EventKind(
    "backups.backup.pruned", Severity.INFO, "A backup was deleted because its time had come."
)
PRUNING_HELD = EventKind(
    "backups.pruning.held",
    Severity.HIGH,
    "Two clocks differ, or more backups than usual would have been pruned; none was.",
    Outcome.FAILURE,
    Delivery.WITH_CHANGE,
)
TARGET_FORGOTTEN = EventKind(
    "backups.target.forgotten", Severity.MEDIUM, "The copies on a target were given up."
)
DRILL_PASSED = EventKind(
    "backups.drill.passed", Severity.INFO, "A backup was restored into a scratch database, whole."
)
DRILL_FAILED = EventKind(
    "backups.drill.failed",
    Severity.CRITICAL,
    "A drill found that a backup does not restore whole.",
    Outcome.FAILURE,
    Delivery.WITH_CHANGE,
)
DRILL_MISSED = EventKind(
    "backups.drill.missed",
    Severity.MEDIUM,
    "No drill has passed within the limit.",
    Outcome.FAILURE,
    Delivery.WITH_CHANGE,
)
IDENTITY_UNPROVEN = EventKind(
    "backups.identity.unproven",
    Severity.HIGH,
    "No identity has opened a backup for so long that the key may be lost.",
    Outcome.FAILURE,
    Delivery.WITH_CHANGE,
)
POINT_IN_TIME_FAILED = EventKind(
    "backups.point_in_time.failed",
    Severity.HIGH,
    "pgBackRest or WAL-G has no recent base backup, or does not archive the log.",
    Outcome.FAILURE,
    Delivery.WITH_CHANGE,
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
    "A restore was refused or rolled back; the data is as before.",
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
