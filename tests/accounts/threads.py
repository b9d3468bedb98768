"""Many at the same moment, each on a thread and a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def all_at_once(call: Callable[[int], T], *, times: int) -> list[T]:
    """Call with 0 … times-1, every thread released at the same moment; give what came back."""
    gate = threading.Barrier(times)

    def run(number: int) -> T:
        gate.wait(timeout=60)
        try:
            return call(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=times) as pool:
        return list(pool.map(run, range(times)))
