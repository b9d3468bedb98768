"""How many guesses an attacker needs, as zxcvbn estimates them."""

from __future__ import annotations

from accounts.conf import settings
from accounts.password.rules.rule import Candidate, Rule
from accounts.password.strength import estimate


class Guessability(Rule):
    """A zxcvbn score of at least ``ACCOUNTS_PASSWORD_MIN_SCORE``."""

    code = "guessable"
    asks = "Use words that do not belong together, and nothing that is known about you."

    def refuses(self, candidate: Candidate) -> str | None:
        """Estimate, and pass on what the estimator advises."""
        strength = estimate(candidate.password, words=candidate.words)
        if strength.score >= settings.password_min_score:
            return None
        return " ".join(["It would be guessed too soon.", *strength.feedback])
