"""Which events may lack an attestation: what the release before wrote while this one rolled out.

The chain itself tells when that was: by its first seal of the version that covers attestations. A
chain that begins with it was never of another release.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from audit.models import EventSeal
from audit.sealing.encoding import VERSION, instant

ROLLOUT = timedelta(days=1)  # how long processes of the release before may still write


class Accepted(NamedTuple):
    """What is expected without an attestation: sealed behind a number, and until an instant."""

    behind: int
    until: str

    def covers(self, seq: int, sealed_at: str) -> bool:
        """Return whether a seal is of it."""
        return seq > self.behind and sealed_at <= self.until


def rollout(stream: str, *, using: str | None = None) -> list[Accepted]:
    """Return the rollout of a stream, where it had one."""
    first = EventSeal.objects.using(using).first_from(
        stream, lambda seal: (seal.version or 0) >= VERSION
    )
    if first is None or first.seq == 1 or first.sealed_at is None:
        return []
    return [Accepted(first.seq - 1, instant(first.sealed_at + ROLLOUT))]
