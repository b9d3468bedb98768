"""A small S3 over HTTP: whole and multipart objects, listing, deletion, and failures on demand.

It keeps to what Amazon's reference says of these calls and looks at no signature. With
``BACKUPS_S3_ENDPOINT`` the tests speak to another server instead (MinIO, moto, …).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class S3(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _asked(self) -> tuple[str, str, dict[str, str]]:
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        return bucket, key, query

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunked()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        encoding = self.headers.get("Content-Encoding", "")
        return b"".join(_aws_chunks(body)) if "aws-chunked" in encoding else body

    def _chunked(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _fails(self) -> bool:
        """Break the connection, as a network does, at every N-th write."""
        self.server.writes += 1
        if self.server.every and self.server.writes % self.server.every == 0:
            self.close_connection = True
            self.connection.close()
            return True
        return False

    def do_PUT(self) -> None:
        _bucket, key, query = self._asked()
        body = self._body()
        if self._fails():
            return
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        if "partNumber" in query:
            self.server.uploads[query["uploadId"]][int(query["partNumber"])] = body
        elif key:
            self.server.objects[key] = body
        self._answer(ETag=tag)

    def do_POST(self) -> None:
        bucket, key, query = self._asked()
        self._body()
        if "uploads" in query:
            upload = f"upload-{next(self.server.numbers)}"
            self.server.uploads[upload] = {}
            text = f"<Bucket>{bucket}</Bucket><UploadId>{upload}</UploadId>"
            return self._xml("InitiateMultipartUploadResult", text)
        parts = self.server.uploads.pop(query["uploadId"])
        self.server.objects[key] = b"".join(parts[number] for number in sorted(parts))
        self.server.multipart += 1
        return self._xml("CompleteMultipartUploadResult", f"<Key>{escape(key)}</Key>")

    def do_DELETE(self) -> None:
        _bucket, key, query = self._asked()
        if "uploadId" in query:
            self.server.uploads.pop(query["uploadId"], None)
        else:
            self.server.objects.pop(key, None)
        self._answer(204)

    def do_HEAD(self) -> None:
        _bucket, key, _query = self._asked()
        if key and key not in self.server.objects:
            return self._answer(404)
        size = len(self.server.objects.get(key, b""))
        return self._answer(200, Content_Length=str(size), ETag='"x"', Last_Modified=_DAY)

    def do_GET(self) -> None:
        bucket, key, query = self._asked()
        if not key:
            return self._list(bucket, query)
        if key not in self.server.objects:
            return self._xml("Error", "<Code>NoSuchKey</Code>", 404)
        body = self.server.objects[key]
        wanted = self.headers.get("Range", "").removeprefix("bytes=")
        first, _, last = wanted.partition("-")
        begin, end = int(first or 0), int(last) + 1 if last else len(body)
        status = 206 if wanted else 200
        self.server.largest_answer = max(self.server.largest_answer, end - begin)
        span = f"bytes {begin}-{min(end, len(body)) - 1}/{len(body)}"
        more = {"Content_Range": span} if wanted else {}
        return self._answer(status, body[begin:end], ETag='"x"', Last_Modified=_DAY, **more)

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
        names = sorted(k for k in self.server.objects if k.startswith(prefix) and k > after)
        rows, folders = [], []
        for name in names:
            folder, slash, _ = name.removeprefix(prefix).partition("/")
            if query.get("delimiter") and slash:
                folders.append(f"{prefix}{folder}/")
            else:
                size = len(self.server.objects[name])
                rows.append(f"<Contents><Key>{escape(name)}</Key><Size>{size}</Size></Contents>")
        common = "".join(
            f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>"
            for f in sorted(set(folders))
        )
        head = f"<Name>{bucket}</Name><IsTruncated>false</IsTruncated>"
        self._xml("ListBucketResult", head + "".join(rows) + common)

    def _xml(self, kind: str, text: str, status: int = 200) -> None:
        self._answer(status, f"<{kind}>{text}</{kind}>".encode(), Content_Type="application/xml")


_DAY = "Tue, 24 Nov 2026 02:00:00 GMT"


def _aws_chunks(body: bytes) -> Iterator[bytes]:
    while body:
        head, _, body = body.partition(b"\r\n")
        size = int(head.split(b";")[0] or b"0", 16)
        if not size:
            return
        yield body[:size]
        body = body[size + 2 :]


@contextmanager
def running() -> Iterator[Any]:
    """Serve on a free port of this machine for the block."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), S3)
    server.objects, server.uploads, server.numbers = {}, {}, count(1)
    server.every = server.writes = server.multipart = server.largest_answer = 0
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
