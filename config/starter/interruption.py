"""Ctrl-C, SIGTERM and a closed terminal, as one exception at a moment that can bear it."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody asked the starter to stop; not an error, so not an ``Exception``."""


class _Requests:
    """How often a stop was asked for, and whether it may be told right now."""

    def __init__(self) -> None:
        self.count = 0
        self.shields = 0
        self.is_told = False
        self.count_at_stop = 0


_requests = _Requests()


def listen() -> None:
    """Take the signals over, for the rest of this process."""
    for number in SIGNALS:
        signal.signal(number, _note)


def _note(_signal: int, _frame: FrameType | None) -> None:
    _requests.count += 1
    _tell_if_due()


def _tell_if_due() -> None:
    if _requests.count and not _requests.shields and not _requests.is_told:
        _requests.is_told = True
        raise Interrupted


@contextmanager
def shielded() -> Iterator[None]:
    """Hold :class:`Interrupted` back until the block has ended.

    For the moment between the birth of a process and the note that it is ours.
    """
    _requests.shields += 1
    try:
        yield
    finally:
        _requests.shields -= 1
    _tell_if_due()


def begin_stopping() -> None:
    """Raise :class:`Interrupted` no more: whoever asks from now on wants it faster."""
    _requests.is_told = True
    _requests.count_at_stop = _requests.count


def is_urgent() -> bool:
    """Return whether a stop was asked for while stopping: then nothing is waited for any more."""
    return _requests.is_told and _requests.count > _requests.count_at_stop
