"""The password policy: a list of small rules, each with a code and a sentence, a file each.

No composition rules: they make passwords worse (NIST SP 800-63B §5.1.1.2, OWASP ASVS 5.0 V6.2.5).
"""

from __future__ import annotations

from accounts.password.rules.breached import Breached
from accounts.password.rules.characters import Encodable, is_encodable
from accounts.password.rules.commonness import Common
from accounts.password.rules.context import Context
from accounts.password.rules.guessability import Guessability
from accounts.password.rules.keyboard import KeyboardWalk
from accounts.password.rules.length import LONGEST_PASSWORD, Length
from accounts.password.rules.repetition import Repetition
from accounts.password.rules.rule import Candidate, Rule
from garrison.errors import FieldError

__all__ = [
    "BREACHED",
    "LONGEST_PASSWORD",
    "RULES",
    "Candidate",
    "Rule",
    "is_encodable",
    "reasons_against",
]

RULES: tuple[Rule, ...] = (
    Length(),
    Encodable(),
    Context(),
    Common(),
    KeyboardWalk(),
    Repetition(),
    Guessability(),
)
BREACHED = Breached()


def reasons_against(candidate: Candidate) -> list[FieldError]:
    """Return every reason for which the policy refuses, in the order of the rules.

    Breaches are looked up only where nothing else speaks against it: that may take a second.
    """
    return _reasons(RULES, candidate) or _reasons((BREACHED,), candidate)


def _reasons(rules: tuple[Rule, ...], candidate: Candidate) -> list[FieldError]:
    return [
        FieldError(code=rule.code, message=message, field="password")
        for rule in rules
        if (message := rule.refuses(candidate))
    ]
