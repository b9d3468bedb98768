"""How hard a password is to guess, as zxcvbn estimates it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.views.decorators.debug import sensitive_variables
from zxcvbn import zxcvbn
from zxcvbn.matching import L33T_TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_JUDGED = 72  # characters; zxcvbn raises above, and its time grows with the square
MOST_WORDS = 50
MOST_READINGS = 8  # of signs that stand for letters: zxcvbn looks all of them up, one by one
NO_LETTER = "\N{CURRENCY SIGN}"  # stands for none, and lies on no keyboard that zxcvbn knows


@dataclass(frozen=True, slots=True)
class Strength:
    """An estimate without the password in it.

    ``score`` is 0 to 4; ``crack_time`` a phrase for an offline attack on a slow hash (10⁴ guesses a
    second); ``feedback`` sentences for the person who chose it.
    """

    score: int
    crack_time: str
    feedback: tuple[str, ...]


@sensitive_variables()
def estimate(password: str, *, words: Sequence[str] = ()) -> Strength:
    """Estimate from the first 72 characters.

    What zxcvbn returns holds the password in clear, piece by piece: only score, time and advice
    leave this function.
    """
    if not password:
        return Strength(score=0, crack_time="less than a second", feedback=())
    judged = _readable(password[:MOST_JUDGED])
    found = zxcvbn(judged, user_inputs=list(words[:MOST_WORDS]))
    advice = found["feedback"]
    said = [advice["warning"], *advice["suggestions"]]
    return Strength(
        score=int(found["score"]),
        crack_time=str(found["crack_times_display"]["offline_slow_hashing_1e4_per_second"]),
        feedback=tuple(f"{sentence.rstrip('.')}." for sentence in said if sentence),
    )


def _readable(password: str) -> str:
    """Keep the signs for letters that can be read in few ways together, and blank the others.

    72 characters with every such sign in them have hundreds of readings, which took zxcvbn seconds.
    What people write has a handful.
    """
    kept: set[str] = set()
    readings = 1
    for signs in L33T_TABLE.values():
        found = [sign for sign in signs if sign in password]
        fitting = [sign for sign in found if sign in kept]
        fitting += [sign for sign in found if sign not in kept]
        fitting = fitting[: max(1, MOST_READINGS // readings)]
        readings *= max(1, len(fitting))
        kept.update(fitting)
    known = {sign for signs in L33T_TABLE.values() for sign in signs}
    return password.translate(dict.fromkeys(map(ord, known - kept), NO_LETTER))
