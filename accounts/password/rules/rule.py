"""What a rule is, and what it looks at."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from accounts.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.auth.base_user import AbstractBaseUser

SHORTEST_WORD = 3  # characters; a shorter word would forbid too much
SHORTEST_REST = 8  # characters; OWASP ASVS 5.0 V6.2.1, the least a password may have
# Letters and what is written for them, made alike: "1", "!", "|", "i" and "l" are all "l".
LOOK_ALIKES = str.maketrans("013457@$!|i(", "oleastasl" + "llc")


def skeleton(text: str) -> str:
    """Return the text in lower case, with one sign for each that is written for another.

    >>> skeleton("P@ssw0rd!") == skeleton("passwordi")
    True
    """
    return text.casefold().translate(LOOK_ALIKES)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A password to judge, and the words its owner would be guessed by; never shown in a repr.

    ``own`` are the person's: name, login name, address. ``words`` are all of them, with the site's.
    """

    password: str
    words: tuple[str, ...] = ()
    own: tuple[str, ...] = ()

    @classmethod
    def of(cls, password: str, *, user: AbstractBaseUser | None = None) -> Candidate:
        """Collect the words: address, name, site, and what ``ACCOUNTS_CONTEXT_WORDS`` lists."""
        email = name = ""
        if user is not None:
            email = str(getattr(user, user.get_email_field_name(), "") or "")
            name = f"{getattr(user, 'get_full_name', str)()} {user.get_username()}"
        mailbox, _, domain = email.rpartition("@")
        own = _words([email, mailbox, *re.split(r"\W+", mailbox), *_named(name, email)])
        site = [domain, *domain.split("."), settings.site_name, *settings.site_name.split()]
        words = _words([*own, name, *site, *settings.context_words])
        return cls(password=password, words=words, own=own)

    def __repr__(self) -> str:
        """Show the length alone."""
        return f"<Candidate of {len(self.password)} characters>"


def _named(name: str, email: str) -> list[str]:
    """Return the words of a name; a login name that is the address is not taken apart again."""
    return [word for word in re.split(r"[\W_]+", name.replace(email, " ")) if word]


def _words(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.lower() for text in texts if len(text) >= SHORTEST_WORD))


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
