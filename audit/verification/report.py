"""What a verification found."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

MOST_TOLD = 100  # findings in words; the others are counted


@dataclass(frozen=True, slots=True)
class Finding:
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
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Return whether nothing is wrong."""
        return not self.counts

    def add(self, code: str, detail: str, **where: Any) -> None:
        """Keep a finding; beyond the hundredth only its number."""
        self.counts[code] += 1
        if len(self.findings) < MOST_TOLD:
            self.findings.append(Finding(code, detail, **where))

    def remark(self, sentence: str) -> None:
        """Keep a remark."""
        if len(self.remarks) < MOST_TOLD:
            self.remarks.append(sentence)

    def summary(self) -> str:
        """Return one sentence."""
        if self.is_whole:
            seen = f"{self.looked_at:,} sealed events and {self.checkpoints:,} checkpoints"
            return f"The audit log is whole: {seen} verified."
        told = ", ".join(f"{count:,} {code}" for code, count in sorted(self.counts.items()))
        return f"The audit log is BROKEN ({told}). First: {self.findings[0].detail}"

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        return {
            "whole": self.is_whole,
            "complete": self.is_complete,
            "looked_at": self.looked_at,
            "checkpoints": self.checkpoints,
            "heads": self.heads,
            "counts": dict(self.counts),
            "findings": [asdict(finding) for finding in self.findings],
            "remarks": self.remarks,
        }
