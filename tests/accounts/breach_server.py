"""A breach service on loopback that does not always behave."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
PADDING = b"".join(b"%035X:0\r\n" % number for number in range(1, 900))


@dataclass
class BreachServer:
    """What it was asked, and how it behaves: one of the functions below, by connection."""

    behave: Callable[[socket.socket], None]
    url: str = ""
    asked: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


def says(body: bytes, head: bytes = OK) -> Callable[[socket.socket], None]:
    """Answer at once."""

    def behave(client: socket.socket) -> None:
        client.sendall(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    return behave


def drips(head: bytes) -> Callable[[socket.socket], None]:
    """Answer a byte at a time, for as long as somebody reads."""

    def behave(client: socket.socket) -> None:
        client.sendall(head)
        for _ in range(200):
            time.sleep(0.05)
            client.sendall(b"A")

    return behave


def hangs(client: socket.socket) -> None:
    """Say nothing until the other side hangs up."""
    client.recv(1)


def dies(client: socket.socket) -> None:
    """Promise more than it sends."""
    client.sendall(OK + b"Content-Length: 1000\r\n\r\n0018A45C4D1DEF8")


@contextmanager
def serving(behave: Callable[[socket.socket], None]) -> Iterator[BreachServer]:
    """Serve on a free port of 127.0.0.1 until the block ends."""
    server = BreachServer(behave)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}/range/"
        threading.Thread(target=_accept, args=(listener, server), daemon=True).start()
        try:
            yield server
        finally:
            server.ended.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, server: BreachServer) -> None:
    while not server.ended.is_set():
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(client, server), daemon=True).start()


def _answer(client: socket.socket, server: BreachServer) -> None:
    with client, suppress(OSError):
        client.settimeout(20)
        server.asked.append(client.recv(65536))
        server.behave(client)
