"""A mail server on this machine: slow, or refusing, as a test wants it."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class MailServer(socketserver.ThreadingTCPServer):
    """Keep what is sent; answer every connection late, and recipients with ``recipient_answer``."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *, delay_seconds: float, recipient_answer: str) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), Conversation)
        self.delay_seconds = delay_seconds
        self.recipient_answer = recipient_answer
        self.messages: list[str] = []

    @property
    def port(self) -> int:
        """Return where it listens."""
        return int(self.server_address[1])


class Conversation(socketserver.StreamRequestHandler):
    """One client; RFC 5321 as far as Django's backend speaks it."""

    server: MailServer

    def handle(self) -> None:
        """Answer each command with one line."""
        time.sleep(self.server.delay_seconds)
        self._say("220 ready")
        for line in self.rfile:
            command = line[:4].upper()
            if command == b"DATA":
                self._say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.messages.append(b"".join(lines).decode())
            self._say(self.server.recipient_answer if command == b"RCPT" else "250 ok")
            if command == b"QUIT":
                return

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def running(
    *, delay_seconds: float = 0.0, recipient_answer: str = "250 ok"
) -> Iterator[MailServer]:
    """Run one for the length of the block."""
    with MailServer(delay_seconds=delay_seconds, recipient_answer=recipient_answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
