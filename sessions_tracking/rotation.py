"""What to do with a refresh token: rotate, repeat, or end its family.

The families of RFC 9700 §4.14.2 (refresh token rotation) with two additions. A client that lost
the answer, or asks from two tabs at once, gets the *same* successor for a few seconds, so that no
second line of tokens ever exists. And nothing is stored: a token follows from the row's counter.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class Verdict(enum.Enum):
    """What the counter of a genuine refresh token means for its living session."""

    ROTATE = "rotate"  # it is the present one
    REPEAT = "repeat"  # the one before, moments after it was replaced: the same answer again
    REUSED = "reused"  # it was replaced: somebody holds a copy
    OUT_OF_STEP = "out of step"  # newer than the row: the database has been set back


def judge(  # noqa: PLR0913 - the facts of one decision, by keyword
    *,
    presented: int,
    current: int,
    rotated_at: datetime,
    now: datetime,
    grace: timedelta,
    is_under_present_key: bool = True,
) -> Verdict:
    """Compare counters, and for the one before the present one the time since the rotation.

    The grace runs from the rotation and is never extended. A clock that was set back by more than
    the grace does not reopen it, while the few milliseconds by which two servers disagree are no
    theft: the distance counts, in both directions. A present counter under another key than the row
    names was never issued by us: it is the work of somebody who holds a retired key.

    >>> from datetime import datetime, timedelta
    >>> noon = datetime(2026, 1, 1, 12)
    >>> times = {"rotated_at": noon, "now": noon, "grace": timedelta(seconds=20)}
    >>> [judge(presented=n, current=7, **times).name for n in (7, 6, 5, 8)]
    ['ROTATE', 'REPEAT', 'REUSED', 'OUT_OF_STEP']
    """
    if presented == current:
        return Verdict.ROTATE if is_under_present_key else Verdict.REUSED
    if presented > current:
        return Verdict.OUT_OF_STEP
    if presented == current - 1 and abs(now - rotated_at) <= grace:
        return Verdict.REPEAT
    return Verdict.REUSED
