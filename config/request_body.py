"""Bodies of requests, read before a thread is taken: how long each may be, how slow, how many.

A body that has not come yet holds a connection and a little memory, and no thread. How many may be
open is bounded for each address and in all, in each process; what comes beyond is refused unread.
"""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core.exceptions import RequestDataTooBig
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]  # re-exported unannounced

from garrison.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterator

BODY_SECONDS = 10  # to begin with, and then
BODY_BYTES_A_SECOND = 16 * 1024  # as slow as a body may come


class BodyTooSlow(Refusal):
    """The body did not arrive in its time."""

    code = "body_too_slow"
    status = 408
    title = "The body came too slowly"


class TooManyOpenBodies(Refusal):
    """One address has too many requests open whose bodies have not arrived."""

    code = "too_many_open_bodies"
    status = 429
    title = "Too many requests of this address wait for their bodies"


class BodiesBusy(Refusal):
    """The process waits for as many bodies as it will."""

    code = "busy"
    status = 503
    title = "Too many requests wait for their bodies"


class UnreadBody(io.RawIOBase):
    """The input of a request whose body is longer than the site reads."""

    def readable(self) -> bool:
        """Let itself be asked."""
        return True

    def readinto(self, _buffer: Any) -> int:
        """Refuse, as Django does where the length alone has not made it refuse."""
        raise RequestDataTooBig("The body is longer than DATA_UPLOAD_MAX_MEMORY_SIZE.")


async def _gather(chunks: AsyncIterable[bytes]) -> bytes:
    """Gather a body for as long as it keeps to the rate: what has come buys the time for more."""
    body = bytearray()
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(BODY_SECONDS) as deadline:
            async for chunk in chunks:
                body += chunk
                deadline.reschedule(began + BODY_SECONDS + len(body) / BODY_BYTES_A_SECOND)
    except TimeoutError:
        raise BodyTooSlow("Send the request again, over a faster line.") from None
    return bytes(body)


class BodyReader:
    """Reads bodies of up to ``longest`` bytes: so many at once for an address, and in all."""

    def __init__(self, *, longest: int | None, for_an_address: int, in_all: int) -> None:
        """Keep the bounds; nothing is open yet."""
        self.longest = longest
        self.for_an_address = for_an_address
        self.in_all = in_all
        self.open: Counter[str] = Counter()  # the event loop of the process alone touches it

    async def read(
        self, chunks: AsyncIterable[bytes], *, told_length: str, address: str
    ) -> io.IOBase:
        """Read a body whose length is told; raises one of the refusals above.

        A body of no told length is left unread, as WSGI has it. Raises ``ProtocolClosed`` where the
        client has gone before its end.
        """
        length = int(told_length) if told_length.isascii() and told_length.isdigit() else 0
        if self.longest is not None and length > self.longest:
            return io.BufferedReader(UnreadBody())
        if not length:
            return io.BytesIO()
        with self._counted(address):
            body = await _gather(chunks)
        if len(body) < length:
            raise ProtocolClosed
        return io.BytesIO(body)

    @contextmanager
    def _counted(self, address: str) -> Iterator[None]:
        if self.open[address] >= self.for_an_address:
            raise TooManyOpenBodies(retry_after_seconds=BODY_SECONDS)
        if self.open.total() >= self.in_all:
            raise BodiesBusy(retry_after_seconds=1)
        self.open[address] += 1
        try:
            yield
        finally:
            self.open[address] -= 1
            if not self.open[address]:
                del self.open[address]
