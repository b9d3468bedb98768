"""What ``config.rsgi`` makes of requests, shown by an application that answers with its environ."""

import json
import time

from config import request_body
from config.request_body import BodyReader
from config.rsgi import RSGIApplication

request_body.BODY_SECONDS = 3
PREFIXES = ("HTTP_", "CONTENT_", "PATH_", "QUERY_", "REMOTE_", "REQUEST_", "SERVER_", "wsgi.url")


class Stream:
    """An answer in pieces, which says on the next request that it was closed."""

    closed = 0

    def __iter__(self):
        for _ in range(64):
            yield b"x" * 65_536

    def close(self):
        Stream.closed += 1


def echo(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Stream()
    if path == "/broken":
        raise ZeroDivisionError
    if path == "/slow":
        time.sleep(1)
    told = {name: value for name, value in environ.items() if name.startswith(PREFIXES)}
    told |= {"closed": Stream.closed}
    if length := int(environ.get("CONTENT_LENGTH") or 0):
        try:
            told["body"] = environ["wsgi.input"].read(length).decode()
        except Exception as refusal:  # noqa: BLE001 - whatever it is, the test wants its name
            told["body"] = type(refusal).__name__
    body = json.dumps(told).encode()
    start_response("201 Created", [("Content-Length", str(len(body))), ("X-Two", "1")])
    return [body]


application = RSGIApplication(
    echo, threads=2, bodies=BodyReader(longest=100_000, for_an_address=8, in_all=12)
)
