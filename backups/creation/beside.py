"""A thread beside the work."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from backups.processes import be_nice_here

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

T = TypeVar("T")


class Beside(Generic[T]):
    """A function that runs in a thread beside a block, and is cancelled when the block fails."""

    def __init__(self, function: Callable[[], T], cancel: Callable[[], None]) -> None:
        """Start it."""
        self._function = function
        self._cancel = cancel
        self._result: T | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        be_nice_here()
        try:
            self._result = self._function()
        except BaseException as failure:  # noqa: BLE001 - carried to the thread that asks
            self._failure = failure

    def result(self, while_waiting: Callable[[], None]) -> T:
        """Wait for the result, and raise what it raised; ``while_waiting`` may raise, too."""
        while self._thread.is_alive():
            self._thread.join(1)
            while_waiting()
        if self._failure is not None:
            raise self._failure
        return self._result  # type: ignore[return-value]  # there is a result, or a failure

    def __enter__(self) -> Beside[T]:
        """Enter the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait; after a failure, not for long."""
        if failure is not None:
            self._cancel()
        self._thread.join()
