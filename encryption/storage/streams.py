"""Files as streams: sealed while they are stored, and opened chunk by chunk where they are read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.files.base import File

from encryption.errors import DecryptionFailed
from encryption.failures import report
from encryption.storage.layout import (
    CHUNK_BYTES,
    FILE_HEADER_BYTES,
    MOST_CHUNKS,
    SEALED_CHUNK_BYTES,
    WRAPPED_END,
    FileKey,
    changed,
    clear_size,
    file_key_id,
    new_header,
    sealed_size,
    secret_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class EncryptedFile(io.RawIOBase):
    """A stored file, decrypted chunk by chunk where it is read; ``seek`` costs nothing.

    Nothing is returned before it is verified, and the end is verified first.
    """

    def __init__(self, stored: File[Any], name: str) -> None:
        """Read the header and verify the last chunk, and with it the size."""
        self._stored, self._name = stored, name
        self._at, self._held, self._held_number = 0, b"", -1
        head = self._read_stored(0, FILE_HEADER_BYTES)
        self._key_id = file_key_id(head)
        self._key = FileKey(AESGCM(secret_of(head, name)), head[WRAPPED_END:])
        self.length = clear_size(int(stored.size))
        self._last = max(0, -(-self.length // CHUNK_BYTES) - 1)
        self._chunk(self._last)

    def _read_stored(self, start: int, size: int) -> bytes:
        self._stored.seek(start)
        parts = []
        while size > 0 and (part := self._stored.read(size)):  # a stream may give less than asked
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _chunk(self, number: int) -> bytes:
        if number == self._held_number:
            return self._held
        start = FILE_HEADER_BYTES + number * SEALED_CHUNK_BYTES
        sealed = self._read_stored(start, SEALED_CHUNK_BYTES)
        nonce = self._key.nonce(number, is_last=number == self._last)
        try:
            self._held = self._key.aes.decrypt(nonce, sealed, None)
        except (InvalidTag, ValueError):
            self._held_number = -1
        else:
            self._held_number = number
            return self._held
        raise changed(self._key_id)

    def readable(self) -> bool:
        """Be read."""
        return True

    def seekable(self) -> bool:
        """Be read anywhere."""
        return True

    def tell(self) -> int:
        """Return the place in the clear text."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the clear text."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from one chunk."""
        if self._at >= self.length:
            return 0
        number, within = divmod(self._at, CHUNK_BYTES)
        try:
            part = self._chunk(number)[within : within + len(buffer)]
        except DecryptionFailed as failure:
            report(failure, target=f"file:{self._name}")
            raise
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        """Close the stored file too."""
        self._stored.close()
        super().close()


class ClearFile(File):  # type: ignore[type-arg]
    """What a caller gets: a Django file whose size is the clear one."""

    def __init__(self, opened: EncryptedFile, name: str) -> None:
        """Buffer one chunk."""
        super().__init__(io.BufferedReader(opened, CHUNK_BYTES), name)
        self.size = opened.length


class EncryptingReader(File):  # type: ignore[type-arg]  # generic only in the stubs
    """Clear content as a storage saves it: header and sealed chunks, in constant memory."""

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
        """Come in parts, always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, for storages that read (S3)."""
        while size < 0 or len(self._buffer) < size:
            part = next(self._stream, b"")
            if not part:
                break
            self._buffer += part
        end = len(self._buffer) if size < 0 else size
        part, self._buffer = self._buffer[:end], self._buffer[end:]
        return part

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
