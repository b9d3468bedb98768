"""What a seal's MAC covers, byte by byte: netstrings (D. J. Bernstein, 1997) in a fixed order.

Each part is its length in bytes, a colon, its UTF-8 and a comma; an SQL NULL is ``-,``. So no two
different events have the same bytes, whatever their texts hold. ``docs/audit.md`` gives a verifier
of forty lines.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from audit.cleaning import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = 3  # the first that covers the attestation; see :mod:`audit.attestation`
FORMATS = {version: f"garrison.audit.seal.v{version}" for version in (1, 2, VERSION)}
GENESIS = bytes(32)  # the MAC before the first one
# Every column of an event, in the order in which they are sealed.
FIELDS = (
    "id", "stream", "kind", "severity", "outcome", "at", "actor_id", "actor_label", "target", "ip",
    "location", "user_agent", "session_id", "request_id", "data", "attestation",
)  # fmt: skip

OUTCOME, KIND = FIELDS.index("outcome"), FIELDS.index("kind")
ATTESTATION = FIELDS.index("attestation")  # the last, which versions before 3 did not seal
# Version 1 sealed these failures with another outcome, because the outcome also told when listeners
# ran. Migration 0003 corrected the rows, whose seals stay as they are.
FAILURE = "failure"
OUTCOMES_OF_VERSION_1 = {
    "audit.chain.broken": "refused",
    "backups.backup.failed": "success",
    "backups.backup.missed": "success",
    "backups.copy.failed": "success",
    "backups.drill.failed": "success",
    "backups.drill.missed": "success",
    "backups.file.lost": "success",
    "backups.identity.unproven": "success",
    "backups.lease.expired": "success",
    "backups.verification.failed": "success",
    "encryption.value.unreadable": "refused",
    "rate_limiting.store.lost": "refused",
}


class ChainPosition(NamedTuple):
    """Where a seal stands: what it covers beside the event."""

    stream: str
    seq: int
    key_id: str
    sealed_at: str
    prev: bytes


def message(
    position: ChainPosition, event: Sequence[str | None], *, version: int = VERSION
) -> bytes:
    """Lay out what is sealed; ``event`` holds the texts of :data:`FIELDS`, ``None`` for NULL.

    Its attestation is ``None`` where it did not verify when the event was sealed.
    """
    covered = event[:ATTESTATION] if version in {1, 2} else event
    stream, seq, key_id, sealed_at, prev = position
    name = FORMATS.get(version, "")
    return encoded((name, stream, str(seq), key_id, sealed_at, prev.hex(), *covered))


def as_sealed_by_version_1(event: list[str | None]) -> list[str | None]:
    """Return the texts of a migrated event as they were sealed.

    A row that does not hold the migrated outcome was changed since, to whatever it holds: its
    outcome becomes a text that nobody has sealed.
    """
    outcome = OUTCOMES_OF_VERSION_1.get(event[KIND] or "")
    if outcome is None:
        return event
    sealed = outcome if event[OUTCOME] == FAILURE else f"not migrated: {event[OUTCOME]}"
    return [*event[:OUTCOME], sealed, *event[OUTCOME + 1 :]]


def encoded(parts: Sequence[str | None]) -> bytes:
    """Write the parts as netstrings."""
    text = "".join(["-," if part is None else f"{len(part)}:{part}," for part in parts])
    if text.isascii():  # then characters are bytes
        return text.encode("ascii")
    return b"".join(map(_netstring, parts))


def _netstring(part: str | None) -> bytes:
    if part is None:
        return b"-,"
    encoded = part.encode("utf-8", "surrogatepass")  # SQLite stores what UTF-8 does not know
    return b"%d:%b," % (len(encoded), encoded)


def instant(at: datetime) -> str:
    """Write an instant in UTC, to the microsecond: ``2026-11-24T12:00:00.000000+00:00``."""
    if at.utcoffset():
        at = at.astimezone(UTC)
    return at.isoformat(timespec="microseconds")


@lru_cache(maxsize=4096)  # most events of a kind carry one of few values
def canonical_data(stored: str) -> str:
    """Write the data in its one form, whatever form the database keeps it in.

    Keys sorted, no blanks, ASCII: ``json.dumps(data, sort_keys=True, separators=(",", ":"))``.
    What is no JSON, names a key twice or is nested beyond reading stays as it is: it was written
    by somebody else, and sealing goes on.
    """
    try:
        return canonical(json.loads(stored, object_pairs_hook=_pairs))
    except (ValueError, RecursionError):
        return f"not canonical: {stored}"


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")  # readers differ in which one they take (RFC 8259 §4)
    return found
