"""Which events may lack an attestation: what the release before wrote until this one rolled out.

Migration 0004 stores an event where it finds others, and that event is attested: whoever owns the
database alone can neither make one nor give it another instant. What was sealed before it is of the
release before, and so may be what is sealed within a day. A database that was empty accepts none.
"""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from audit.events import ATTESTATION_INTRODUCED
from audit.sealing.encoding import ATTESTATION, FIELDS, VERSION, ChainPosition, instant, message
from audit.sealing.keyring import keyring
from audit.sealing.rows import read_instant

if TYPE_CHECKING:
    from audit.verification.links import Link, Reader

ROLLOUT = timedelta(days=1)  # how long processes of the release before may still write
AT = FIELDS.index("at")


class Accepted(NamedTuple):
    """What is expected without an attestation: sealed behind a number, and until an instant.

    What was sealed before another number is expected, whenever that was.
    """

    behind: int
    until: str
    before: int = 0

    def covers(self, seq: int, sealed_at: str) -> bool:
        """Return whether a seal is of it."""
        return seq > self.behind and (sealed_at <= self.until or seq < self.before)


def rollout(stream: str, *, reader: Reader) -> list[Accepted]:
    """Return the rollout of a stream, where it had one: the first counts."""
    for link in reader.of_kind(stream, ATTESTATION_INTRODUCED):
        at = read_instant(link.event[AT]) if link.event else None
        if at and _is_sealed_as_attested(stream, link):
            return [Accepted(0, instant(at + ROLLOUT), link.seq)]
    return []


def _is_sealed_as_attested(stream: str, link: Link) -> bool:
    key, event = keyring().by_id.get(link.key_id), link.event or []
    if key is None or link.version != VERSION or event[ATTESTATION] is None:
        return False
    position = ChainPosition(stream, link.seq, link.key_id, link.sealed_at, link.prev)
    return hmac.compare_digest(key.mac(message(position, event)), link.mac)
