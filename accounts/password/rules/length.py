"""How long a password has to be, and may be."""

from __future__ import annotations

from accounts.conf import settings
from accounts.password.rules.rule import Candidate, Rule

LONGEST_PASSWORD = 1_024  # characters; hashing a longer one is work without a gain


class Length(Rule):
    """From ``ACCOUNTS_PASSWORD_MIN_LENGTH`` to 1,024 characters."""

    code = "length"

    def sentence(self) -> str:
        """Report what is asked for."""
        return f"Use {settings.password_min_length} to {LONGEST_PASSWORD:,} characters."

    def refuses(self, candidate: Candidate) -> str | None:
        """Count characters, not bytes."""
        if settings.password_min_length <= len(candidate.password) <= LONGEST_PASSWORD:
            return None
        return f"It has {len(candidate.password):,} characters. {self.sentence()}"
