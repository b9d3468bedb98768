"""What encryption says."""

from __future__ import annotations

from garrison.events import Delivery, EventKind, Outcome, Severity

DECRYPTION_FAILED = EventKind(
    "encryption.value.unreadable",
    Severity.HIGH,
    "A stored value could not be decrypted: changed, moved, or its key is missing.",
    Outcome.FAILURE,
    Delivery.AFTER_ROLLBACK,
)
ERASED_READ = EventKind(
    "encryption.erased.read",
    Severity.LOW,
    "A value of an erased subject was asked for, and is gone as intended.",
    Outcome.REFUSED,
)
VALUE_REVEALED = EventKind(
    "encryption.value.revealed",
    Severity.MEDIUM,
    "Somebody looked at an encrypted value in clear in the admin.",
)
REVEAL_REFUSED = EventKind(
    "encryption.reveal.refused",
    Severity.MEDIUM,
    "Somebody without the permission asked to see an encrypted value in clear.",
    Outcome.REFUSED,
)
KEY_ADOPTED = EventKind(
    "encryption.key.adopted", Severity.MEDIUM, "A key version was seen for the first time."
)
KEY_RETIRED = EventKind(
    "encryption.key.retired",
    Severity.MEDIUM,
    "A key version was retired: nothing needs it any more.",
)
RETIREMENT_REFUSED = EventKind(
    "encryption.retirement.refused",
    Severity.MEDIUM,
    "A key version was to be retired while rows, files or backups still need it.",
    Outcome.REFUSED,
)
ROTATION_FINISHED = EventKind(
    "encryption.rotation.finished",
    Severity.MEDIUM,
    "Every value of a field is encrypted under the active key.",
)
COLUMN_IMPORTED = EventKind(
    "encryption.column.imported",
    Severity.MEDIUM,
    "The values of another encryption package were taken over into an encrypted field.",
)
SUBJECT_ERASED = EventKind(
    "encryption.subject.erased",
    Severity.MEDIUM,
    "The key of a person was destroyed, and with it every value encrypted under it.",
)
