"""Work beside the calling thread: a call that carries its failure, and blocks handed to it."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class BackgroundCall(Generic[T]):
    """A function in a thread of its own; what it raised is raised where its result is read.

    ``on_end`` is called in that thread with the failure, or with ``None``; ``failure`` is set by
    then.
    """

    def __init__(
        self,
        function: Callable[[], T],
        *,
        on_end: Callable[[BaseException | None], object] = lambda _failure: None,
    ) -> None:
        """Start it."""
        self.failure: BaseException | None = None
        self._function = function
        self._on_end = on_end
        self._result: T | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as failure:  # noqa: BLE001 - carried to the thread that reads the result
            self.failure = failure
        self._on_end(self.failure)

    def wait(self, seconds: float | None = None) -> None:
        """Wait for its end, at most so long; raises nothing."""
        self._thread.join(seconds)

    def result(self, while_waiting: Callable[[], None] = lambda: None) -> T:
        """Wait for the result, and raise what it raised; ``while_waiting`` may raise, too."""
        while self._thread.is_alive():
            self._thread.join(1)
            while_waiting()
        if self.failure is not None:
            raise self.failure
        return self._result  # type: ignore[return-value]  # there is a result, or a failure


class Abandoned(Exception):  # noqa: N818 - not an error of the side that learns of it
    """The other side of a queue has stopped reading or writing."""


class BlockQueue:
    """Bytes on their way from one thread to another; a full queue makes the writer wait.

    The writer ends it, and the reader gets what is left and then the end. Either side abandons it,
    and the other one is told at its next step.
    """

    def __init__(self, most_blocks: int) -> None:
        """Begin with none."""
        self._most_blocks = most_blocks
        self._blocks: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._is_ended = self._is_abandoned = False
        self._failure: BaseException | None = None

    def write(self, block: bytes) -> None:
        """Add a block; raises where the reader has gone, what it has failed with."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_abandoned or len(self._blocks) < self._most_blocks
            )
            self._require_both()
            if block:
                self._blocks.append(block)
                self._changed.notify_all()

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes; the empty end only if the writer ended well."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_abandoned or self._is_ended or self._blocks)
            self._require_both()
            if not self._blocks:
                if self._failure is not None:
                    raise self._failure
                return b""
            block = self._blocks.popleft()
            if len(block) > size:
                self._blocks.appendleft(block[size:])
            self._changed.notify_all()
            return block[:size]

    def end(self, failure: BaseException | None = None) -> None:
        """End the blocks for the reader, with what the writer has failed with."""
        with self._changed:
            self._is_ended, self._failure = True, self._failure or failure
            self._changed.notify_all()

    def abandon(self, failure: BaseException | None = None) -> None:
        """Stop both sides at once."""
        with self._changed:
            self._is_abandoned, self._failure = True, self._failure or failure
            self._blocks.clear()
            self._changed.notify_all()

    def _require_both(self) -> None:
        if self._is_abandoned:
            raise self._failure or Abandoned("the other side has stopped reading")
