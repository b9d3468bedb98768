"""A failure to decrypt is always reported; a pass over many values counts it and goes on."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from encryption.errors import DecryptionFailed, SubjectErased
from encryption.events import DECRYPTION_FAILED, ERASED_READ
from garrison import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
logger = logging.getLogger("encryption")


def report(failure: DecryptionFailed, *, target: str) -> None:
    """Emit that a value could not be read; an erased person's is expected, and no error."""
    data = {"place": failure.place, "key_id": failure.key_id, "reason": failure.reason}
    if isinstance(failure, SubjectErased):
        events.emit(ERASED_READ, target=target, data=data)
        return
    logger.error("%s (%s)", failure, target)
    events.emit(DECRYPTION_FAILED, target=target, data=data)


@dataclass(slots=True)
class Tally:
    """What a pass did: values rewritten, values that could not be read, and those seen."""

    rewritten: int = 0
    unreadable: int = 0
    seen: int = 0

    def add(self, other: Tally) -> None:
        """Add what another pass did."""
        self.rewritten += other.rewritten
        self.unreadable += other.unreadable
        self.seen += other.seen


def rewrap_each(
    items: Iterable[T], rewrap: Callable[[T], bool | None], *, target: Callable[[T], str]
) -> Tally:
    """Rewrap each item; one that cannot be read stays as it is, is counted, and is an event.

    ``rewrap`` returns whether it wrote, or ``None`` where the item was not due.
    """
    tally = Tally()
    for item in items:
        try:
            is_rewritten = rewrap(item)
        except FileNotFoundError:
            continue  # deleted meanwhile
        except DecryptionFailed as failure:
            tally.seen, tally.unreadable = tally.seen + 1, tally.unreadable + 1
            report(failure, target=target(item))
        else:
            tally.seen += is_rewritten is not None
            tally.rewritten += bool(is_rewritten)
    return tally
