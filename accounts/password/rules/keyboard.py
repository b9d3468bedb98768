"""Walks over the keyboard, on five layouts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from accounts.password.rules.rule import SHORTEST_REST, Candidate, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    Key = tuple[int, int]  # row and column

SHORTEST_WALK = 4  # keys, turning as it likes; a straight one of three is a walk too
SHORTEST_STRAIGHT = 3

# Rows from the top, plain and shifted, each under the other as the keys lie: a key touches its two
# neighbours, the one above and the one above to the right, below and below to the left.
_ISO = 0, 1, 1, 0  # column of each row's first key
_ANSI = 0, 1, 1, 1
LAYOUTS: dict[str, tuple[tuple[int, ...], Sequence[str], Sequence[str]]] = {
    "QWERTY": (
        _ANSI,
        ("`1234567890-=", "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./"),
        ("~!@#$%^&*()_+", "QWERTYUIOP{}|", 'ASDFGHJKL:"', "ZXCVBNM<>?"),
    ),
    "AZERTY": (
        _ISO,
        ("²&é\"'(-è_çà)=", "azertyuiop^$", "qsdfghjklmù*", "<wxcvbn,;:!"),
        ("~1234567890°+", "AZERTYUIOP¨£", "QSDFGHJKLM%µ", ">WXCVBN?./§"),
    ),
    "QWERTZ": (
        _ISO,
        ("^1234567890ß´", "qwertzuiopü+", "asdfghjklöä#", "<yxcvbnm,.-"),  # noqa: RUF001 - the key has it
        ('°!"§$%&/()=?`', "QWERTZUIOPÜ*", "ASDFGHJKLÖÄ'", ">YXCVBNM;:_"),
    ),
    "Dvorak": (
        _ANSI,
        ("`1234567890[]", "',.pyfgcrl/=\\", "aoeuidhtns-", ";qjkxbmwvz"),
        ("~!@#$%^&*(){}", '"<>PYFGCRL?+|', "AOEUIDHTNS_", ":QJKXBMWVZ"),
    ),
}
_SLANTED = frozenset({(0, 1), (0, -1), (-1, 0), (-1, 1), (1, 0), (1, -1)})
_KEYPAD = ("789", "456", "123", "0")
_SQUARE = frozenset((r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if r or c)


class KeyboardWalk(Rule):
    """Enough must be left where each walk over neighbouring keys counts as one character."""

    code = "keyboard"
    asks = "Do not walk over the keyboard."

    def refuses(self, candidate: Candidate) -> str | None:
        """Look on each layout by itself."""
        for name, layout in _layouts().items():
            walked = layout.walked(candidate.password)
            if walked and len(candidate.password) - walked < SHORTEST_REST:
                return f"It walks over the keys of a {name} keyboard. {self.asks}"
        return None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each character lies, and which steps lead to a neighbour."""

    keys: dict[str, Key]
    steps: frozenset[Key]

    def walked(self, text: str) -> int:
        """Return how many characters are no more than the way from the one before.

        >>> _layouts()["QWERTY"].walked("qwertyuiop"), _layouts()["QWERTY"].walked("1q2w3e4r")
        (9, 7)
        """
        steps = [self._step(here, there) for here, there in itertools.pairwise(text)]
        total = start = 0
        for end in range(len(steps) + 1):
            if end < len(steps) and steps[end] is not None:
                continue
            run = steps[start:end]
            is_straight = len(set(run)) == 1 and len(run) >= SHORTEST_STRAIGHT - 1
            if is_straight or len(run) >= SHORTEST_WALK - 1:
                total += len(run)
            start = end + 1
        return total

    def _step(self, here: str, there: str) -> Key | None:
        if here not in self.keys or there not in self.keys:
            return None
        (row, column), (next_row, next_column) = self.keys[here], self.keys[there]
        step = next_row - row, next_column - column
        return step if step in self.steps else None


@lru_cache(maxsize=1)
def _layouts() -> dict[str, Layout]:
    made = {}
    for name, (columns, *levels) in LAYOUTS.items():
        keys = {
            character: (row, column)
            for level in levels
            for row, characters in enumerate(level)
            for column, character in enumerate(characters, start=columns[row])
        }
        made[name] = Layout(keys, _SLANTED)
    pad = {
        key: (row, column) for row, line in enumerate(_KEYPAD) for column, key in enumerate(line)
    }
    made["numeric"] = Layout(pad | {"0": (3, 0), ".": (3, 2)}, _SQUARE)
    return made
