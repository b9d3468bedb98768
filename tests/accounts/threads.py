"""Many at the same moment, each on a thread and a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from django.db import connections

from accounts.password.hashers import hashing_slot

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


@contextmanager
def slots_taken(number: int) -> Iterator[None]:
    """Hold so many hashing slots, each on a thread of its own, as other requests do."""
    taken, end = threading.Barrier(number + 1), threading.Event()

    def hold() -> None:
        with hashing_slot():
            taken.wait(timeout=60)
            end.wait(timeout=60)

    with ThreadPoolExecutor(number) as pool:
        for _ in range(number):
            pool.submit(hold)
        taken.wait(timeout=60)
        try:
            yield
        finally:
            end.set()
