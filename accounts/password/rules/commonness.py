"""Passwords that many people have, and what people make of them (ASVS 5.0 V6.2.4)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from django.contrib.auth.password_validation import CommonPasswordValidator
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from accounts.password.rules.rule import Candidate, Rule, skeleton

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_ADDED = 6  # characters before or after: a year, a number, signs
MOST_JUDGED = 72  # characters; the longest common one has 31, and it may be doubled


class Common(Rule):
    """No common password, however it is written, doubled, or lengthened by a few signs."""

    code = "common"
    asks = "Do not use a password that many people have, nor one with a year or a sign added."

    def refuses(self, candidate: Candidate) -> str | None:
        """Take off what people add, and look for the rest in the lists."""
        if len(candidate.password) > MOST_JUDGED:
            return None
        known = common_skeletons()
        if any(core in known for core in _cores(candidate.password)):
            return f"It is made of a password that many people have. {self.asks}"
        return None


@lru_cache(maxsize=1)
def common_skeletons() -> frozenset[str]:
    """Return Django's list and zxcvbn's, some 45,000 passwords, as skeletons; about 5 MB."""
    lists = [CommonPasswordValidator().passwords, FREQUENCY_LISTS["passwords"]]
    return frozenset(skeleton(password) for known in lists for password in known)


def _cores(password: str) -> Iterator[str]:
    """Yield the password without what may have been added, each once and undoubled too."""
    for text in _trimmed(password):
        core = skeleton(text)
        yield core
        yield core[::-1]
        for unit in _units(core):
            yield unit
            yield from _trimmed(unit)
        for unit in _units(text.casefold()):  # "Dragon1Dragon1": what was added comes twice
            yield from map(skeleton, _trimmed(unit))


def _trimmed(text: str) -> Iterator[str]:
    before = re.match(rf"[\d\W_]{{0,{MOST_ADDED}}}", text)
    after = re.match(rf"[\d\W_]{{0,{MOST_ADDED}}}", text[::-1])
    for start in range((before.end() if before else 0) + 1):
        for end in range((after.end() if after else 0) + 1):
            if start + end < len(text):
                yield text[start : len(text) - end]


def _units(text: str) -> Iterator[str]:
    """Yield what the text repeats as a whole, and what it is with each sign doubled.

    >>> list(_units("abcabc")), list(_units("aabb"))
    (['abc'], ['ab'])
    """
    period = (text + text).find(text, 1)
    if 0 < period < len(text):
        yield text[:period]
    if len(text) > 1 and text[::2] == text[1::2]:
        yield text[::2]
