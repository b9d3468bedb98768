"""The password policy: a list of small rules, each with a code and a sentence.

No composition rules: they make passwords worse (NIST SP 800-63B §5.1.1.2, OWASP ASVS 5.0 V6.2.5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from accounts.conf import settings
from accounts.password.strength import estimate
from garrison.errors import FieldError

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

LONGEST_PASSWORD = 1_024  # characters; hashing a longer one is work without a gain
SHORTEST_WORD = 3  # characters; a shorter word would forbid too much
SHORTEST_REST = 8  # characters; OWASP ASVS 5.0 V6.2.1, the least a password may have
LOOK_ALIKES = str.maketrans("013457@$!", "oleastasi")


def is_encodable(password: str) -> bool:
    """Return whether the text can be hashed: no NUL, no lone surrogate."""
    return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in password)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A password to judge, and the words its owner would be guessed by; never shown in a repr."""

    password: str
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, password: str, *, user: AbstractBaseUser | None = None) -> Candidate:
        """Collect the words: address, name, site, and what ``ACCOUNTS_CONTEXT_WORDS`` lists."""
        email = name = ""
        if user is not None:
            email = str(getattr(user, user.get_email_field_name(), "") or "")
            name = f"{getattr(user, 'get_full_name', str)()} {user.get_username()}"
        said = [email, *re.split(r"\W+", email), name, *name.split(), settings.site_name]
        said += [*settings.site_name.split(), *settings.context_words]
        words = dict.fromkeys(word.lower() for word in said if len(word) >= SHORTEST_WORD)
        return cls(password=password, words=tuple(words))

    def __repr__(self) -> str:
        """Show the length alone."""
        return f"<Candidate of {len(self.password)} characters>"


class Rule:
    """One reason for which a password is refused; ``asks`` is what it asks for."""

    code: ClassVar[str]
    asks: ClassVar[str]

    def sentence(self) -> str:
        """Report what is asked for."""
        return self.asks

    def refuses(self, candidate: Candidate) -> str | None:
        """Report what is wrong, or ``None``."""
        raise NotImplementedError


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


class Encodable(Rule):
    """Text that can be written as UTF-8 and kept by every store."""

    code = "characters"
    asks = "Any character is welcome, save NUL and broken ones."

    def refuses(self, candidate: Candidate) -> str | None:
        """Find NUL and lone surrogates."""
        if is_encodable(candidate.password):
            return None
        return "It holds a character that cannot be stored. Type it again."


class Context(Rule):
    """What is left without the words its owner would be guessed by must be a password too."""

    code = "context"
    asks = "Do not build it from your name, your address or the site's name."

    def refuses(self, candidate: Candidate) -> str | None:
        """Take the words out, in any case and with digits for letters, and count the rest."""
        rest = _plain(candidate.password)
        for word in sorted(candidate.words, key=len, reverse=True):
            rest = rest.replace(_plain(word), "")
        if len(rest) >= SHORTEST_REST or len(rest) == len(_plain(candidate.password)):
            return None
        return f"Without what is known about you, too little of it is left. {self.sentence()}"


def _plain(text: str) -> str:
    return text.casefold().translate(LOOK_ALIKES)


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


RULES: tuple[Rule, ...] = (Length(), Encodable(), Context(), Guessability())


def reasons_against(candidate: Candidate) -> list[FieldError]:
    """Return every reason for which the policy refuses, in the order of the rules."""
    return [
        FieldError(code=rule.code, message=message, field="password")
        for rule in RULES
        if (message := rule.refuses(candidate))
    ]
