"""Passwords that are known from breaches (ASVS 5.0 V6.2.12)."""

from __future__ import annotations

from accounts.conf import settings
from accounts.password.breaches.known import is_breached
from accounts.password.rules.rule import Candidate, Rule


class Breached(Rule):
    """No password that attackers have in their lists.

    Where nobody can answer, ``ACCOUNTS_BREACH_ON_FAILURE`` decides.
    """

    code = "breached"
    asks = "Do not use a password that is known from a breach of any site."

    def refuses(self, candidate: Candidate) -> str | None:
        """Ask the corpus or the service."""
        known = is_breached(candidate.password)
        if known:
            return f"It is known from a breach, here or elsewhere. {self.asks}"
        if known is None and settings.breach_on_failure == "refuse":
            return "Whether it is known from a breach cannot be checked now. Try again soon."
        return None
