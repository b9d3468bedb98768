"""What a running sealer remembers: that the last link it saw still stands.

Between two checkpoints somebody who owns the database could remove the newest seals, change their
events and let the sealer seal them anew. A sealer that runs on notices within one look, because
its own memory is in no database.
"""

from __future__ import annotations

import hmac

from django.db import DEFAULT_DB_ALIAS

from audit.checkpoints.writing import emit_broken, removed_up_to
from audit.sealing.sealer import ChainHead, head_of
from audit.verification.links import Reader


class Memory:
    """The newest link of each stream, as it was after the last look."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._heads: dict[str, ChainHead] = {}

    def compare_and_renew(self) -> list[str]:
        """Tell, as events, of streams whose remembered link is gone; then remember the newest."""
        reader = Reader(DEFAULT_DB_ALIAS)
        lost = [stream for stream in self._heads if not self._stands(reader, stream)]
        for stream in lost:
            seq = self._heads[stream].seq
            emit_broken(
                stream=stream,
                detail=f"Number {seq} of {stream!r} was removed or replaced while the sealer ran.",
                number=seq,
            )
        self._heads = {stream: head_of(stream) for stream in reader.streams()}
        return lost

    def _stands(self, reader: Reader, stream: str) -> bool:
        head = self._heads[stream]
        there = reader.mac_of(stream, head.seq)
        if there is None:
            return head.seq <= removed_up_to(stream)
        return hmac.compare_digest(there, head.mac)
