"""Source → gzip → age → writers.

Two threads, joined by a queue of a few blocks: one reads and compresses, one encrypts and writes;
both spend their time in C and Rust, outside the interpreter's lock.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pyrage
from isal import isal_zlib

from backups.pipeline.streams import BLOCK, GZIP, Sealed, Tally, Throttle
from backups.processes import lower_thread_priority
from backups.threads import BackgroundCall, BlockQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from backups.keys import Recipients
    from backups.pipeline.streams import Readable, Writable

QUEUED_BLOCKS = 4
HANDED_OVER = 128 * 1024
READ = 256 * 1024
LEVEL = 1  # 444 MB/s against 53 for the stdlib, and a smaller result than gzip's own -6 on dumps


def _compress(
    source: Readable, into: BlockQueue, raw: Tally, on_progress: Callable[[int], None]
) -> None:
    """Compress all of the source, in a thread of its own."""
    lower_thread_priority()
    stream, gathered = isal_zlib.compressobj(LEVEL, wbits=GZIP), bytearray()
    while chunk := source.read(READ):
        raw.add(chunk)
        gathered += stream.compress(chunk)
        if len(gathered) >= HANDED_OVER:  # few, large handovers: each wakes another thread
            into.write(bytes(gathered))
            gathered.clear()
        on_progress(raw.size)
    into.write(bytes(gathered) + stream.flush())


class _TalliedOutput:
    """Where sealed bytes go: tallied, throttled, written; the first failure is kept."""

    def __init__(self, out: Writable, throttle: Throttle) -> None:
        self.tally = Tally()
        self.failure: BaseException | None = None
        self._out = out
        self._throttle = throttle

    def write(self, chunk: bytes) -> int:
        """Pass the chunk on."""
        try:
            self._throttle.wait_for(len(chunk))
            self._out.write(chunk)
        except BaseException as failure:
            self.failure = failure
            raise
        self.tally.add(chunk)
        return len(chunk)

    def flush(self) -> None:
        """Nothing is held back here."""


def seal(
    *,
    source: Readable,
    out: Writable,
    recipients: Recipients,
    throttle: Throttle | None = None,
    on_progress: Callable[[int], None] = lambda _size: None,
) -> Sealed:
    """Compress and encrypt all of the source into ``out``.

    Whatever the source, the library or ``out`` raises is raised here, and then what ``out`` took is
    no whole part: it must be thrown away. Without recipients (plain text by explicit setting) the
    bytes are compressed only.
    """
    raw, blocks = Tally(), BlockQueue(QUEUED_BLOCKS)
    compressing = BackgroundCall(
        partial(_compress, source, blocks, raw, on_progress), on_end=blocks.end
    )
    outlet = _TalliedOutput(out, throttle or Throttle(0))
    try:
        if recipients:
            pyrage.encrypt_io(blocks, outlet, recipients.keys)
        else:
            while block := blocks.read(BLOCK):
                outlet.write(block)
    except BaseException as failure:  # noqa: BLE001 - raised again, with its cause
        # The library wraps what our ends raise; the cause tells what happened.
        raise (compressing.failure or outlet.failure or failure) from None
    finally:
        blocks.abandon()
        compressing.wait()
    compressing.result()
    return Sealed(outlet.tally.sha256, outlet.tally.size, raw.sha256, raw.size)
