"""Reading multipart bodies (RFC 7578) so that every reader sees the same parts, or nobody does.

Lenient parsers skip what they do not understand: a part without a name, text around the parts, a
body that ends in the middle. Whoever inspects an upload then sees another one than whoever stores
it. Each of these is refused here, and nothing is held in memory but one chunk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from django.core.files.uploadhandler import SkipFile, StopFutureHandlers, StopUpload

from http_hardening.errors import FileTooLarge, InvalidMultipart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.core.files.uploadedfile import UploadedFile
    from django.core.files.uploadhandler import FileUploadHandler

CHUNK_BYTES = 64 * 1024
LONGEST_HEAD_BYTES = 2048
LONGEST_NAME = 100  # characters
LONGEST_FILE_NAME = 255  # characters; no file system takes a longer one

BOUNDARY = re.compile(r'boundary=("?)([0-9A-Za-z\'()+_,./:=?-]{1,70})\1', re.ASCII)  # RFC 2046 §5.1
HEADER = re.compile(r"([A-Za-z-]+):[ \t]*([^\x00-\x1f\x7f]*)", re.ASCII)
# Browsers write a quotation mark in a name as %22, so there is nothing to unescape.
DISPOSITION = re.compile(r'form-data; ?name="([^"\\]+)"(?:; ?filename="([^"\\/]+)")?')
# Anything else would mean another content than the bytes that are there.
AS_IT_IS = frozenset({"", "7bit", "8bit", "binary"})


@dataclass(frozen=True, slots=True)
class Part:
    """What the head of a part says; ``file_name`` is ``None`` for a plain field."""

    name: str
    file_name: str | None
    content_type: str


def boundary_of(media_type: str) -> bytes:
    """Read the boundary off a ``Content-Type``; raises ``InvalidMultipart``."""
    parameters = [parameter.strip() for parameter in media_type.split(";")[1:]]
    found = [match for parameter in parameters if (match := BOUNDARY.fullmatch(parameter))]
    if len(found) != 1:
        raise InvalidMultipart("The Content-Type names no boundary, or one that is not valid.")
    return found[0][2].encode()


class MultipartReader:
    """Walks over the parts of a body, once; each part's content is read before the next part."""

    def __init__(self, stream: IO[bytes], *, boundary: bytes, longest_bytes: int) -> None:
        """Begin before the first boundary."""
        self._stream = stream
        self._delimiter = b"\r\n--" + boundary
        self._buffer = b"\r\n"  # so the first boundary looks like every other
        self._longest_bytes = self._left = longest_bytes

    def parts(self) -> Iterator[Part]:
        """Yield the head of each part; raises ``InvalidMultipart`` and ``FileTooLarge``."""
        if any(self.content()):
            raise InvalidMultipart("There is something before the first boundary.")
        while self._is_another():
            yield _part(self._head())

    def content(self) -> Iterator[bytes]:
        """Yield what comes before the next boundary in chunks, and go past it."""
        kept = len(self._delimiter) - 1  # the beginning of a boundary may be at the end
        while (at := self._buffer.find(self._delimiter)) < 0:
            if len(self._buffer) > kept:
                yield self._buffer[:-kept]
                self._buffer = self._buffer[-kept:]
            self._fill()
        if at:
            yield self._buffer[:at]
        self._buffer = self._buffer[at + len(self._delimiter) :]

    def _is_another(self) -> bool:
        """Return whether a part follows; after the last boundary there is nothing but its end."""
        while len(self._buffer) < 2:
            self._fill()
        mark, self._buffer = self._buffer[:2], self._buffer[2:]
        if mark == b"\r\n":
            return True
        rest = self._buffer
        while len(rest) <= 2 and (chunk := self._read()):
            rest += chunk
        if mark != b"--" or rest not in {b"", b"\r\n"}:
            raise InvalidMultipart("A boundary is followed by something else than a part.")
        return False

    def _head(self) -> bytes:
        while (at := self._buffer.find(b"\r\n\r\n")) < 0 and len(self._buffer) < LONGEST_HEAD_BYTES:
            self._fill()
        if not 0 <= at <= LONGEST_HEAD_BYTES:
            raise InvalidMultipart(f"The head of a part is over {LONGEST_HEAD_BYTES} bytes.")
        head, self._buffer = self._buffer[:at], self._buffer[at + 4 :]
        return head

    def _fill(self) -> None:
        chunk = self._read()
        if not chunk:
            raise InvalidMultipart("The body ends before its last boundary.")
        self._buffer += chunk

    def _read(self) -> bytes:
        chunk = self._stream.read(CHUNK_BYTES)
        self._left -= len(chunk)
        if self._left < 0:
            raise FileTooLarge(f"The upload is longer than {self._longest_bytes} bytes.")
        return chunk


def _part(head: bytes) -> Part:
    headers = _headers(head)
    match = DISPOSITION.fullmatch(headers.get("content-disposition", ""))
    if match is None:
        raise InvalidMultipart("A part has no Content-Disposition that this site reads.")
    if headers.get("content-transfer-encoding", "").lower() not in AS_IT_IS:
        raise InvalidMultipart("A part is encoded; send it as it is (RFC 7578 §4.7).")
    name, file_name = match.groups()
    if not (_is_plain(name, LONGEST_NAME) and _is_plain(file_name or "x", LONGEST_FILE_NAME)):
        raise InvalidMultipart("A name is too long, or holds characters that no name has.")
    content_type = headers.get("content-type", "").partition(";")[0].strip()
    return Part(name, file_name, content_type)


def _headers(head: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    try:
        lines = head.decode().split("\r\n")
    except UnicodeDecodeError:
        raise InvalidMultipart("The head of a part is not UTF-8.") from None
    for line in lines:
        match = HEADER.fullmatch(line)
        if match is None or match[1].lower() in headers:
            raise InvalidMultipart("A header of a part is malformed, or there twice.")
        headers[match[1].lower()] = match[2].strip()
    return headers


def _is_plain(name: str, longest: int) -> bool:
    return len(name) <= longest and name.isprintable() and name not in {".", ".."}


def receive(
    handlers: Sequence[FileUploadHandler], part: Part, content: Iterator[bytes]
) -> UploadedFile[Any] | None:
    """Hand a file to Django's upload handlers; ``None`` where one of them skips it."""
    try:
        _announce(handlers, part)
        sizes = _feed(handlers, content)
    except SkipFile:
        for _ in content:  # the rest of it
            pass
        return None
    except StopUpload:
        raise InvalidMultipart("The upload was stopped.") from None
    made = (h.file_complete(size) for h, size in zip(handlers, sizes, strict=True))
    return next((file for file in made if file), None)


def _announce(handlers: Sequence[FileUploadHandler], part: Part) -> None:
    for handler in handlers:
        try:
            handler.new_file(part.name, str(part.file_name), part.content_type, None, None, {})
        except StopFutureHandlers:
            return


def _feed(handlers: Sequence[FileUploadHandler], content: Iterator[bytes]) -> list[int]:
    sizes = [0] * len(handlers)
    for received in content:
        chunk: bytes | None = received
        for index, handler in enumerate(handlers):
            if chunk is None:
                break
            size = len(chunk)
            chunk = handler.receive_data_chunk(chunk, sizes[index])
            sizes[index] += size
    return sizes
