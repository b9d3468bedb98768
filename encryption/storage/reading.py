"""Reading: chunk by chunk where it is wanted, and nothing before it is verified."""

from __future__ import annotations

import io
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.files.base import File

from encryption.errors import DecryptionFailed
from encryption.failures import report
from encryption.storage.layout import (
    CHUNK_BYTES,
    FILE_HEADER_BYTES,
    SEALED_CHUNK_BYTES,
    WRAPPED_END,
    FileKey,
    changed,
    clear_size,
    file_key_id,
    secret_of,
)


class EncryptedFile(io.RawIOBase):
    """A stored file, decrypted chunk by chunk where it is read; ``seek`` costs nothing.

    Nothing is given out before it is verified, and the end is verified first.
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
