"""A progress bar of one line, for terminals."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.core.management.base import OutputWrapper

WIDTH = 30
SECONDS_BETWEEN = 0.1


@dataclass(slots=True)
class Bar:
    """Draws ``label [#####     ] 50% 500/1,000 · 1,200/s · 1 s left`` over itself."""

    out: OutputWrapper
    label: str
    total: int
    is_on: bool
    started: float = field(default_factory=time.monotonic)
    drawn_at: float = 0.0

    def show(self, done: int) -> None:
        """Draw, at most ten times a second."""
        now = time.monotonic()
        if not self.is_on or (now - self.drawn_at < SECONDS_BETWEEN and done < self.total):
            return
        self.drawn_at = now
        share = min(1.0, done / self.total) if self.total else 1.0
        rate = done / max(now - self.started, 0.001)
        left = (self.total - done) / rate if rate and done < self.total else 0
        bar = "#" * round(WIDTH * share)
        self.out.write(
            f"\r{self.label} [{bar:<{WIDTH}}] {share:4.0%} {done:,}/{self.total:,} · "
            f"{rate:,.0f}/s · {left:,.0f} s left ",
            ending="",
        )
        self.out.flush()

    def end(self) -> None:
        """Leave the line."""
        if self.is_on:
            self.out.write("")
