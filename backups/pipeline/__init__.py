"""The streaming pipeline: source → gzip → age → writers, and back.

Nothing is ever whole in memory or in plain text on disk.
"""

from backups.pipeline.sealing import seal
from backups.pipeline.streams import (
    BLOCK,
    Discard,
    Readable,
    Sealed,
    Tally,
    Throttle,
    Writable,
    tally,
)
from backups.pipeline.unsealing import decrypt, unseal

__all__ = [
    "BLOCK",
    "Discard",
    "Readable",
    "Sealed",
    "Tally",
    "Throttle",
    "Writable",
    "decrypt",
    "seal",
    "tally",
    "unseal",
]
