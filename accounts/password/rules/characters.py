"""Which characters can be kept."""

from __future__ import annotations

from accounts.password.rules.rule import Candidate, Rule


def is_encodable(password: str) -> bool:
    """Return whether the text can be hashed: no NUL, no lone surrogate."""
    return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in password)


class Encodable(Rule):
    """Text that can be written as UTF-8 and kept by every store."""

    code = "characters"
    asks = "Any character is welcome, save NUL and broken ones."

    def refuses(self, candidate: Candidate) -> str | None:
        """Find NUL and lone surrogates."""
        if is_encodable(candidate.password):
            return None
        return "It holds a character that cannot be stored. Type it again."
