"""How long something takes, and whether a figure keeps its bound."""

from __future__ import annotations

import statistics
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def seconds(work: Callable[[], Any]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def median(work: Callable[[], Any], *, rounds: int) -> float:
    return statistics.median(seconds(work) for _ in range(rounds))


def in_turn(
    ours: Callable[[], Any], base: Callable[[], Any], *, rounds: int
) -> tuple[list[float], list[float]]:
    """Measure two that take turns, so that what else the machine does meets both."""
    times = [(seconds(ours), seconds(base)) for _ in range(rounds)]
    return [mine for mine, _ in times], [theirs for _, theirs in times]


def at_most(bound: float, found: float, label: str) -> bool:
    return _verdict(f"{label:<48} {found:9,.2f}   at most {bound:,}", holds=found <= bound)


def at_least(bound: float, found: float, label: str) -> bool:
    return _verdict(f"{label:<48} {found:9,.2f}   at least {bound:,}", holds=found >= bound)


def _verdict(line: str, *, holds: bool) -> bool:
    print(f"{'ok  ' if holds else 'MISS'} {line}", flush=True)
    return holds
