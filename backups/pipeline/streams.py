"""What flows through the pipeline, counted and held back; the two ends of it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 1024 * 1024
GZIP = 31  # zlib's name for the gzip container with the widest window


class Readable(Protocol):
    """A source of bytes; the empty answer is the end, and only a whole source gives it."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes."""


class Writable(Protocol):
    """A place where bytes go; it takes them all or raises."""

    def write(self, chunk: bytes, /) -> object:
        """Take the chunk."""


@dataclass(slots=True)
class Tally:
    """Count and hash what passes."""

    size: int = 0
    _hash: object = field(default_factory=hashlib.sha256)

    def add(self, chunk: bytes) -> None:
        """Count the chunk in."""
        self.size += len(chunk)
        self._hash.update(chunk)  # type: ignore[attr-defined]  # hashlib's type has no public name

    @property
    def sha256(self) -> str:
        """Return the hash of all so far, as hexadecimal digits."""
        return str(self._hash.hexdigest())  # type: ignore[attr-defined]  # the same


def tally(source: Readable, step: Callable[[int], None] = lambda _size: None) -> Tally:
    """Count and hash all of a source; ``step`` gets the size of each block and may raise."""
    found = Tally()
    while chunk := source.read(BLOCK):
        found.add(chunk)
        step(len(chunk))
    return found


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a part is: as it lies on a target, and as it was before."""

    sha256: str
    size: int
    raw_sha256: str
    raw_size: int


class Throttle:
    """Lets so many bytes pass in a second; 0 is no limit."""

    def __init__(self, bytes_per_second: int) -> None:
        """Begin now."""
        self._rate = bytes_per_second
        self._ready_at = time.monotonic()

    def wait_for(self, size: int) -> None:
        """Sleep until the bytes may pass; idle time is not saved up."""
        if not self._rate:
            return
        now = time.monotonic()
        if self._ready_at > now:
            time.sleep(self._ready_at - now)
        self._ready_at = max(now, self._ready_at) + size / self._rate


class Discard:
    """Takes everything and keeps nothing; for verification."""

    def write(self, chunk: bytes) -> int:
        """Take it."""
        return len(chunk)
