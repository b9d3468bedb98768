"""Passwords drawn by chance: each equally likely, from the operating system's randomness."""

from __future__ import annotations

import secrets
import string
from functools import lru_cache
from pathlib import Path

from accounts.conf import settings
from accounts.password.rules import RULES, Candidate

RANDOM = "random"
PASSPHRASE = "passphrase"  # noqa: S105 - the name of a kind
KINDS = (RANDOM, PASSPHRASE)
SHORTEST = 20  # characters of a random one: 119 bits
LONGEST = 128
WORDS = 6  # of 7,776, drawn by five dice each: 77 bits (https://www.eff.org/dice)
MOST_DRAWS = 20
_ALPHABET = string.ascii_letters + string.digits
_WORDLIST = Path(__file__).with_name("eff_long_wordlist.txt")


def generate(*, kind: str = RANDOM, length: int = SHORTEST) -> str:
    """Return a new password that the policy accepts; it is stored nowhere.

    ``random`` has ``length`` characters, 20 at least. ``passphrase`` has six words, and more where
    six do not reach ``length`` characters. One that the rules refuse by chance is drawn again.
    """
    length = max(length, SHORTEST, settings.password_min_length)
    draw = _passphrase if kind == PASSPHRASE else _random
    password = draw(length)
    for _ in range(MOST_DRAWS):
        if not any(rule.refuses(Candidate.of(password)) for rule in RULES):
            break
        password = draw(length)
    return password


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _passphrase(length: int) -> str:
    words = [secrets.choice(wordlist()) for _ in range(WORDS)]
    while len("-".join(words)) < length:
        words.append(secrets.choice(wordlist()))
    return "-".join(words)


@lru_cache(maxsize=1)
def wordlist() -> tuple[str, ...]:
    """Return EFF's long list; its source and licence stand at the file's head."""
    lines = _WORDLIST.read_text(encoding="ascii").splitlines()
    return tuple(line for line in lines if not line.startswith("#"))
