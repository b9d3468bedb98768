"""What is known about a person and a site does not belong in a password (ASVS 5.0 V6.2.11)."""

from __future__ import annotations

import re

from accounts.password.rules.rule import SHORTEST_REST, SHORTEST_WORD, Candidate, Rule, skeleton

# "AdaKx82" is "Ada", "Kx", "82": a short word counts where it stands by itself.
_TOKEN = re.compile(r"[^\W\d_][^\W\d_A-Z]*|[^\W\d_]+")


class Context(Rule):
    """No word of the person's, and enough left without the site's.

    A word of three letters stands in many others ("Ann" in "planner"), so it is refused as a whole
    word only.
    """

    code = "context"
    asks = "Do not build it from your name, your address or the site's name."

    def refuses(self, candidate: Candidate) -> str | None:
        """Look for the words in any case and with digits for letters."""
        whole = rest = skeleton(candidate.password)
        for word in sorted(candidate.words, key=len, reverse=True):
            rest = rest.replace(skeleton(word), "")
        if any(_holds(candidate.password, whole, word) for word in candidate.own):
            return f"It holds what is known about you. {self.sentence()}"
        if len(rest) >= SHORTEST_REST or len(rest) == len(whole):
            return None
        return f"Without what is known about you, too little of it is left. {self.sentence()}"


def _holds(password: str, whole: str, word: str) -> bool:
    if len(word) > SHORTEST_WORD:
        return skeleton(word) in whole
    return any(skeleton(token) == skeleton(word) for token in _TOKEN.findall(password))
