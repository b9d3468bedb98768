"""Writing: clear content in, header and sealed chunks out, in constant memory."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from django.core.files.base import File

from encryption.storage.layout import CHUNK_BYTES, MOST_CHUNKS, new_header, sealed_size

if TYPE_CHECKING:
    from collections.abc import Iterator


class EncryptingReader(File):  # type: ignore[type-arg]  # generic only in the stubs
    """What a storage is given to save."""

    def __init__(self, content: File[Any], name: str) -> None:
        """Take the clear content from its beginning."""
        super().__init__(content.file if hasattr(content, "file") else content, name)
        self._content = content
        self._stored_name = name
        self._stream = self._sealed()
        self._buffer = b""

    def _sealed(self) -> Iterator[bytes]:
        if self._content.seekable():
            self._content.seek(0)
        head, key = new_header(self._stored_name)
        yield head
        number, chunk = 0, self._read_chunk()
        while True:
            following = self._read_chunk() if len(chunk) == CHUNK_BYTES else b""
            is_last = not following
            yield key.aes.encrypt(key.nonce(number, is_last=is_last), chunk, None)
            if is_last:
                return
            number, chunk = number + 1, following
            if number >= MOST_CHUNKS:
                raise ValueError("A file of more than 256 TiB is not encrypted in one piece.")

    def _read_chunk(self) -> bytes:
        parts, missing = [], CHUNK_BYTES
        while missing:
            part = self._content.read(missing)
            if not part:
                break
            part = part.encode() if isinstance(part, str) else part
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:  # noqa: ARG002
        """Return header and chunks, from the start."""
        self._stream, self._buffer = self._sealed(), b""
        yield from self._stream

    def multiple_chunks(self, chunk_size: int | None = None) -> bool:  # noqa: ARG002
        """Tell that it comes in parts, always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, for storages that read (S3)."""
        while size < 0 or len(self._buffer) < size:
            part = next(self._stream, b"")
            if not part:
                break
            self._buffer += part
        end = len(self._buffer) if size < 0 else size
        given, self._buffer = self._buffer[:end], self._buffer[end:]
        return given

    def seekable(self) -> bool:
        """Go back to the start only, where the content can."""
        return bool(self._content.seekable())

    def seek(self, offset: int, whence: int = 0) -> int:
        """Start over; any other place is refused."""
        if offset or whence:
            raise io.UnsupportedOperation("Encrypted content is written from start to end.")
        self._stream, self._buffer = self._sealed(), b""
        return 0

    @property
    def size(self) -> int:
        """The size it will have in the storage."""
        return sealed_size(int(self._content.size))
