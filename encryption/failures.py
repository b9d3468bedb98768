"""A failure to decrypt is said, always: an event, a line in the log, and a count for the panel."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from encryption.errors import SubjectErased
from encryption.events import DECRYPTION_FAILED, ERASED_READ
from garrison import events

if TYPE_CHECKING:
    from encryption.errors import DecryptionFailed

logger = logging.getLogger("encryption")


def report(failure: DecryptionFailed, *, target: str) -> None:
    """Say that a value could not be read; reading an erased person's is expected, and says less."""
    data = {"place": failure.place, "key_id": failure.key_id, "reason": failure.reason}
    if isinstance(failure, SubjectErased):
        events.emit(ERASED_READ, target=target, data=data)
        return
    logger.error("%s (%s)", failure, target)
    events.emit(DECRYPTION_FAILED, target=target, data=data)
