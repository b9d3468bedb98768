"""What a verification found."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

MOST_DESCRIBED = 100  # violations in words; the others are counted


class Verdict(StrEnum):
    """What can be concluded; the same three words as for a backup."""

    WHOLE = "whole"
    BROKEN = "broken"
    INDETERMINATE = "indeterminate"


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

    ``doubts`` are why it cannot be called whole although nothing is wrong; ``remarks`` are neither:
    what an operator may want to look at.
    """

    looked_at: int = 0
    checkpoints: int = 0
    is_complete: bool = True
    heads: dict[str, int] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    doubts: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """Return what can be concluded of all that."""
        if self.counts:
            return Verdict.BROKEN
        return Verdict.INDETERMINATE if self.doubts else Verdict.WHOLE

    def add(self, code: str, detail: str, **where: Any) -> None:
        """Keep a violation; beyond the hundredth only its number."""
        self.counts[code] += 1
        if len(self.violations) < MOST_DESCRIBED:
            self.violations.append(Violation(code, detail, **where))

    def doubt(self, sentence: str) -> None:
        """Keep a reason why the log cannot be called whole."""
        self.doubts.append(sentence)

    def remark(self, sentence: str) -> None:
        """Keep a remark."""
        if len(self.remarks) < MOST_DESCRIBED:
            self.remarks.append(sentence)

    def summary(self) -> str:
        """Return one sentence or two."""
        seen = f"{self.looked_at:,} sealed events and {self.checkpoints:,} checkpoints verified."
        log = "The audit log" if self.is_complete else "This part of the audit log"
        if self.verdict is Verdict.WHOLE:
            return f"{log} is whole: {seen}"
        if self.verdict is Verdict.INDETERMINATE:
            return f"{log} is INDETERMINATE: {self.doubts[0]} Otherwise {seen}"
        sentence = ", ".join(f"{count:,} {code}" for code, count in sorted(self.counts.items()))
        return f"{log} is BROKEN ({sentence}). First: {self.violations[0].detail}"

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        return {
            "verdict": self.verdict,
            "whole": self.verdict is Verdict.WHOLE,
            "complete": self.is_complete,
            "looked_at": self.looked_at,
            "checkpoints": self.checkpoints,
            "heads": self.heads,
            "counts": dict(self.counts),
            "violations": [asdict(violation) for violation in self.violations],
            "doubts": self.doubts,
            "remarks": self.remarks,
        }
