"""How the chain stands: sealed up to when, signed when, verified when and with what result.

Two queries by keys, whatever the tables hold; for the health report and the dashboard.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection

from audit.keys import instant_of
from audit.sealing import horizon, sealer
from audit.sealing.rows import read_instant
from audit.verification.heads import SIGNED_WITHIN

if TYPE_CHECKING:
    from datetime import datetime

LAG = timedelta(minutes=1)  # a sealer that works is a second behind
VERIFIED_WITHIN = timedelta(hours=26)  # every night

# A part that verifies takes back nothing; one that does not counts until everything verifies.
_VERIFIED = "FROM audit_chainverification WHERE is_complete OR NOT is_whole ORDER BY id DESC"
_PARTS = {
    "last_number": "seq FROM audit_eventseal ORDER BY event_id DESC",
    "first_sealed_at": "sealed_at FROM audit_eventseal ORDER BY event_id",
    "signed_at": "at FROM audit_checkpoint ORDER BY id DESC",
    "stored_as": "stored_as FROM audit_checkpoint ORDER BY id DESC",
    "verified_at": f"ended_at {_VERIFIED}",
    "is_whole": f"is_whole {_VERIFIED}",
    "detail": f"detail {_VERIFIED}",
}
_NEWEST = "event_id FROM audit_eventseal ORDER BY event_id DESC"
_ROWS = ("settled_at FROM audit_sealeduntil", _NEWEST, *_PARTS.values())
_ALL_AT_ONCE = ", ".join(f"(SELECT {row} LIMIT 1)" for row in _ROWS)


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """What is known of the chain at one time; ``None`` for what never was."""

    now: datetime
    waiting_since: datetime | None  # when the oldest event without a seal happened
    last_number: int | None = None
    first_sealed_at: datetime | None = None
    signed_at: datetime | None = None
    stored_as: str | None = None  # the copy of the last checkpoint
    verified_at: datetime | None = None
    is_whole: bool | None = None  # of the last verification, where it could conclude
    detail: str | None = None

    @property
    def is_late(self) -> bool:
        """Return whether an event has waited for its seal for more than a minute."""
        return self.waiting_since is not None and self.now - self.waiting_since > LAG

    @property
    def is_unsigned(self) -> bool:
        """Return whether the last checkpoint is older than three hours, as far as one is due."""
        last = self.signed_at or self.first_sealed_at
        return last is not None and self.now - last > SIGNED_WITHIN

    @property
    def is_unverified(self) -> bool:
        """Return whether the last verification is older than 26 hours, as far as one is due."""
        last = self.verified_at or self.first_sealed_at
        return last is not None and self.now - last > VERIFIED_WITHIN

    @property
    def is_broken(self) -> bool:
        """Return whether the last verification found something."""
        return self.is_whole is False

    @property
    def is_indeterminate(self) -> bool:
        """Return whether the last verification found nothing wrong, and could not conclude."""
        return self.verified_at is not None and self.is_whole is None


def chain_status(*, now: datetime) -> ChainStatus:
    """Look."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_ALL_AT_ONCE}")
        settled_at, newest, *known = cursor.fetchone()
    parts = dict(zip(_PARTS, known, strict=True))
    for name in ("first_sealed_at", "signed_at", "verified_at"):
        parts[name] = read_instant(parts[name])
    parts["is_whole"] = None if parts["is_whole"] is None else bool(parts["is_whole"])
    waiting = sealer.oldest_unsealed(since=_since(read_instant(settled_at), newest, now))
    return ChainStatus(now, instant_of(waiting) if waiting else None, **parts)


def _since(settled_at: datetime | None, newest: object, now: datetime) -> datetime | None:
    """Return where to begin: while a history is sealed for the first time, from its end on."""
    at = horizon.begins_at(settled_at, now)
    if at is None and newest is not None:
        return min(instant_of(uuid.UUID(str(newest))), now) - 2 * horizon.GRACE
    return at
