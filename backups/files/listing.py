"""The list of files, sealed while it grows."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from backups import pipeline

if TYPE_CHECKING:
    from backups.files.entry import Entry
    from backups.keys import Recipients
    from backups.pipeline import Sealed, Throttle
    from backups.targets import Fan


class _Lines:
    """What the list is sealed from, in a thread beside the one that adds lines."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(1000)
        self.is_over = threading.Event()

    def add(self, line: bytes | None) -> None:
        is_put = False
        while not is_put and not self.is_over.is_set():
            try:
                self._queue.put(line, timeout=0.2)
                is_put = True
            except queue.Full:
                continue

    def read(self, size: int) -> bytes:
        block = bytearray()
        while len(block) < min(size, 64 * 1024):
            line = self._queue.get()
            if line is None:
                self._queue.put(None)
                break
            block += line
        return bytes(block)


class ListWriter:
    """Seals the list of files while it grows; it exists only after :meth:`commit`."""

    def __init__(self, fan: Fan, recipients: Recipients, throttle: Throttle) -> None:
        """Start sealing."""
        self._fan = fan
        self._recipients = recipients
        self._throttle = throttle
        self._lines = _Lines()
        self._sealed: Sealed | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._sealed = pipeline.seal(
                source=self._lines,
                out=self._fan,
                recipients=self._recipients,
                throttle=self._throttle,
            )
        except BaseException as failure:  # noqa: BLE001 - carried to the thread that adds
            self._failure = failure
        finally:
            self._lines.is_over.set()

    def add(self, entry: Entry) -> None:
        """Add one line."""
        self._lines.add(entry.line().encode())

    def commit(self) -> Sealed:
        """End the list and make it exist."""
        self._lines.add(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        self._fan.commit()
        return self._sealed  # type: ignore[return-value]  # sealed, or a failure was raised

    def abort(self) -> None:
        """Leave nothing behind."""
        self._lines.add(None)
        self._thread.join()
        self._fan.abort()
