"""The range API of Pwned Passwords, or a mirror of it: five characters of a hash leave the site.

One deadline covers the name's resolution, the connection, TLS and the last byte of the answer. The
work is done on a few threads of its own, and whoever waits for it stops waiting at the deadline.
What failed several times in a row is left alone for a while, by each process for itself.
"""

from __future__ import annotations

import http.client
import logging
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as DeadlinePassed
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from accounts import events
from accounts.conf import settings
from garrison.events import emit

DEADLINE_SECONDS = 1.0
PREFIX_CHARACTERS = 5  # of the hash: k-anonymity, some 2,000 hashes share them
MOST_BYTES = 1_048_576  # of an answer; a padded one has some 60 kB
MOST_AT_ONCE = 4  # threads of a process that wait for the service
FAILURES_TO_OPEN = 3
OPEN_SECONDS = 30.0
_LINE = re.compile(rb"([0-9A-F]{35}):([0-9]{1,12})")

logger = logging.getLogger("accounts.password")


class ServiceSilent(Exception):  # noqa: N818 - a state, and not this program's error
    """The service did not answer, or not as it should."""


@dataclass(slots=True)
class Breaker:
    """How many failures in a row, and until when the circuit is open: nobody asks then."""

    failures: int = 0
    open_until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def require_closed(self) -> None:
        """Raise :class:`ServiceSilent` while it is open; after that, one asks for all."""
        with self.lock:
            if self.failures < FAILURES_TO_OPEN:
                return
            if time.monotonic() < self.open_until:
                raise ServiceSilent("it failed a moment ago")
            self.open_until = time.monotonic() + OPEN_SECONDS

    def note(self, *, is_answered: bool) -> bool:
        """Count; return whether this failure opens it."""
        with self.lock:
            self.failures = 0 if is_answered else self.failures + 1
            self.open_until = time.monotonic() + OPEN_SECONDS
            return self.failures == FAILURES_TO_OPEN


breaker = Breaker()


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="breaches")


def count_of(sha1: str) -> int:
    """Return how often the hash was seen, 0 for never; raises :class:`ServiceSilent`.

    An answer that is no list of hashes is none, nor is a redirect: nothing leads from here to
    another address.
    """
    breaker.require_closed()
    prefix, suffix = sha1[:PREFIX_CHARACTERS].upper(), sha1[PREFIX_CHARACTERS:].upper()
    request = _Request(settings.breach_service_url, prefix)
    try:
        body = _threads().submit(request.read).result(timeout=DEADLINE_SECONDS)
        found = _parse(body)
    except (DeadlinePassed, OSError, http.client.HTTPException, ValueError) as failure:
        request.cut()
        logger.warning("The breach service did not answer: %s.", type(failure).__name__)
        if breaker.note(is_answered=False):
            emit(events.BREACH_SERVICE_LOST, data={"failure": type(failure).__name__})
        raise ServiceSilent from failure
    breaker.note(is_answered=True)
    return found.get(suffix.encode(), 0)


def _parse(body: bytes) -> dict[bytes, int]:
    lines = body.split()
    found = [_LINE.fullmatch(line) for line in lines]
    if not lines or not all(found):
        raise ValueError("no list of hashes")
    return {match[1]: int(match[2]) for match in found if match}


class _Request:
    """One question, which another thread may cut off."""

    def __init__(self, url: str, prefix: str) -> None:
        self._url, self._prefix = urlsplit(url), prefix
        self._socket: socket.socket | None = None
        self._is_cut = False

    def read(self) -> bytes:
        """Ask, and return the body of a 200; raises ``OSError`` and the like for anything else."""
        if self._is_cut:
            raise TimeoutError
        is_plain = self._url.scheme == "http"
        kind = http.client.HTTPConnection if is_plain else http.client.HTTPSConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=DEADLINE_SECONDS)
        try:
            connection.connect()
            self._socket = connection.sock  # which the connection forgets when it has the answer
            headers = {"Add-Padding": "true", "User-Agent": "django-garrison"}
            path = f"{self._url.path.rstrip('/')}/{self._prefix}"
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read(MOST_BYTES + 1)
            if answer.status != 200 or len(body) > MOST_BYTES:
                raise ValueError("an answer of another kind")
            return body
        finally:
            connection.close()

    def cut(self) -> None:
        """Wake a thread that waits for another byte, so that it ends now."""
        self._is_cut = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
