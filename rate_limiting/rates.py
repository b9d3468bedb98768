"""A rate, and how it is written.

A rate is written ``<count>/<period>`` with a key behind it where the scope's own is not meant::

    "5/15m"                             five in 15 minutes, per the scope's own key
    "50/15m address"                    fifty in 15 minutes per address
    "5/15m account+address+endpoint"    the parts of a key are joined: all of them must agree

Periods end in ``s``, ``m``, ``h`` or ``d``. The parts of a key:

* ``user``: the signed-in person, or the address of a stranger
* ``address``: the client's address, IPv6 by its /64
* ``account``: the account that the request names in its body, or the signed-in person; a request
  that names none is not counted under this rate
* ``endpoint``: the view, so that two views of a scope do not eat one another's places
* ``site``: everybody together
* a dotted path: a callable that is given the request and returns text, or ``None`` not to count it
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from garrison.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

RATE = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{0,6})\s*([smhd])(?:\s+(\S+))?\s*", re.ASCII)
PART = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
LONGEST_PERIOD_SECONDS = 366 * 86_400

KNOWN_PARTS = frozenset({"user", "address", "account", "endpoint", "site"})
DEFAULT_KEY = "user"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``limit`` requests in a window of ``period_seconds``, for each value of the key."""

    limit: int
    period_seconds: int
    key: tuple[str, ...]

    @property
    def text(self) -> str:
        """The form in which ``django-ratelimit`` reads it."""
        return f"{self.limit}/{self.period_seconds}s"

    @property
    def label(self) -> str:
        """The form in which a person reads it."""
        return f"{self.limit}/{_period(self.period_seconds)} {'+'.join(self.key)}"


def parse_rate(text: str, *, default_key: str = DEFAULT_KEY) -> Rate:
    """Read one rate; raises :class:`~garrison.errors.ConfigurationError` with what is wrong."""
    match = RATE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ConfigurationError(
            f"The rate {text!r} cannot be read. Write a count, a slash and a period, such as "
            "'5/15m' or '100/h', and a key behind it where needed: '50/15m address'."
        )
    count, multiple, unit, key = match.groups()
    seconds = int(multiple or 1) * SECONDS[unit]
    if not 1 <= seconds <= LONGEST_PERIOD_SECONDS:
        raise ConfigurationError(
            f"The rate {text!r} has a period of {seconds} seconds; 1 second to 366 days can be "
            "counted."
        )
    return Rate(int(count), seconds, _parts(key or default_key, text))


def _parts(key: str, text: str) -> tuple[str, ...]:
    parts = tuple(key.split("+"))
    for part in parts:
        if part not in KNOWN_PARTS and not PART.fullmatch(part):
            raise ConfigurationError(
                f"The rate {text!r} names the key {part!r}, which is none of "
                f"{', '.join(sorted(KNOWN_PARTS))} and no dotted path."
            )
    return parts


def problem_of_limits(limits: Mapping[str, object]) -> str | None:
    """Report what is wrong with a value of ``RATE_LIMITS``, or ``None``."""
    for scope, rates in limits.items():
        if not isinstance(scope, str) or not isinstance(rates, list | tuple):
            return f"the entry {scope!r} is no list of rates."
        for rate in rates:
            try:
                parse_rate(rate)
            except ConfigurationError as wrong:
                return str(wrong)
    return None


def _period(seconds: int) -> str:
    for unit in ("d", "h", "m"):
        if seconds % SECONDS[unit] == 0:
            multiple = seconds // SECONDS[unit]
            return f"{multiple if multiple > 1 else ''}{unit}"
    return f"{seconds}s"
