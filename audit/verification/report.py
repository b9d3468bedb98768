"""What a verification found."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

MOST_DESCRIBED = 100  # violations in words; the others are counted


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong, as a word for machines and a sentence for people."""

    code: str
    detail: str
    stream: str = ""
    number: int | None = None
    event: str = ""


@dataclass(slots=True)
class Report:
    """What was looked at, and everything that is wrong with it.

    ``remarks`` are no faults: what an operator may want to look at.
    """

    looked_at: int = 0
    checkpoints: int = 0
    is_complete: bool = True
    heads: dict[str, int] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Return whether nothing is wrong."""
        return not self.counts

    def add(self, code: str, detail: str, **where: Any) -> None:
        """Keep a violation; beyond the hundredth only its number."""
        self.counts[code] += 1
        if len(self.violations) < MOST_DESCRIBED:
            self.violations.append(Violation(code, detail, **where))

    def remark(self, sentence: str) -> None:
        """Keep a remark."""
        if len(self.remarks) < MOST_DESCRIBED:
            self.remarks.append(sentence)

    def summary(self) -> str:
        """Return one sentence."""
        if self.is_whole:
            seen = f"{self.looked_at:,} sealed events and {self.checkpoints:,} checkpoints"
            return f"The audit log is whole: {seen} verified."
        sentence = ", ".join(f"{count:,} {code}" for code, count in sorted(self.counts.items()))
        return f"The audit log is BROKEN ({sentence}). First: {self.violations[0].detail}"

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        return {
            "whole": self.is_whole,
            "complete": self.is_complete,
            "looked_at": self.looked_at,
            "checkpoints": self.checkpoints,
            "heads": self.heads,
            "counts": dict(self.counts),
            "violations": [asdict(violation) for violation in self.violations],
            "remarks": self.remarks,
        }
