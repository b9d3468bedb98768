"""Ports: which are free, and what to say when one is not."""

from __future__ import annotations

import errno
import socket
from contextlib import closing

from config.starter.failure import StartFailure

LOOPBACK = "127.0.0.1"


def is_free(port: int, *, host: str = LOOPBACK) -> bool:
    """Return whether a server could listen there now."""
    return _refusal(host, port) is None


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def require_free(*, host: str, port: int) -> None:
    """Refuse, with the variable to change, when the web server could not listen there."""
    refusal = _refusal(host, port)
    if refusal is None:
        return
    if refusal.errno == errno.EADDRINUSE:
        raise StartFailure(
            f"Port {port} on {host} is taken by another program. Stop that program, or choose "
            f"another port: PORT={port + 1 if port < 65535 else 8000} make run"
        )
    if refusal.errno == errno.EACCES:
        raise StartFailure(
            f"This user may not listen on port {port}; ports below 1024 are for root. "
            "Choose another one: PORT=8000 make run"
        )
    raise StartFailure(
        f"Nothing can listen on HOST={host} PORT={port}: {refusal.strerror or refusal}. "
        "HOST must be an address of this machine, such as 127.0.0.1."
    )


def _refusal(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with closing(socket.socket(family, kind, protocol)) as probe:
            # As servers do: a port whose last connections are still fading is not taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as refusal:
        return refusal
    return None
