"""Repeats and sequences: "aaaa", "abcabc", "4321"."""

from __future__ import annotations

import itertools

from accounts.password.rules.rule import SHORTEST_REST, Candidate, Rule

SHORTEST_RUN = 3  # characters


class Repetition(Rule):
    """Enough must be left where each run, and each repetition of the whole, counts once.

    A run is the same character again and again, or one after the other as Unicode lists them.
    """

    code = "repeats"
    asks = "Do not repeat characters, nor count or spell the alphabet."

    def refuses(self, candidate: Candidate) -> str | None:
        """Leave out what can be foretold, and count the rest."""
        text = candidate.password.casefold()
        period = (text + text).find(text, 1)
        unit = text[:period] if period > 0 else text
        left = len(unit) - _foretold(unit)
        if left >= SHORTEST_REST or left == len(text):
            return None
        return f"Without repeats and sequences, too little of it is left. {self.asks}"


def _foretold(text: str) -> int:
    """Return how many characters follow from the two before them.

    >>> _foretold("aaaa"), _foretold("4321x"), _foretold("stapler")
    (3, 3, 0)
    """
    steps = [ord(there) - ord(here) for here, there in itertools.pairwise(text)]
    total = start = 0
    for end in range(1, len(steps) + 1):
        if end < len(steps) and steps[end] == steps[start]:
            continue
        if abs(steps[start]) <= 1 and end - start >= SHORTEST_RUN - 1:
            total += end - start
        start = end
    return total
