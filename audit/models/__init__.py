"""What happened, how often, and what keeps it as it was."""

from audit.models.count import CountedUntil, EventCount
from audit.models.event import (
    LONGEST_ID,
    LONGEST_KIND,
    LONGEST_LABEL,
    LONGEST_STREAM,
    LONGEST_TARGET,
    MAIN_STREAM,
    OUTCOMES,
    SEVERITIES,
    SecurityEvent,
    SecurityEventQuerySet,
)
from audit.models.seal import (
    ChainVerification,
    Checkpoint,
    EventReader,
    EventSeal,
    EventSealQuerySet,
    SealedUntil,
)

__all__ = [
    "LONGEST_ID",
    "LONGEST_KIND",
    "LONGEST_LABEL",
    "LONGEST_STREAM",
    "LONGEST_TARGET",
    "MAIN_STREAM",
    "OUTCOMES",
    "SEVERITIES",
    "ChainVerification",
    "Checkpoint",
    "CountedUntil",
    "EventCount",
    "EventReader",
    "EventSeal",
    "EventSealQuerySet",
    "SealedUntil",
    "SecurityEvent",
    "SecurityEventQuerySet",
]
