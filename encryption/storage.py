"""Files at rest: any Django storage behind 64 KiB chunks of AES-256-GCM, readable anywhere.

============  =====  ===========================================================
magic         4      ``GEF`` and the format version, 0x01
key id        12     of the master key that wraps the file's own key
wrapped key   60     nonce, the file's random key, tag; bound to the file's name
prefix        7      random, the beginning of every chunk's nonce
chunks        …      64 KiB of clear text each (the last one less) and a tag
============  =====  ===========================================================

The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015): a chunk's nonce is prefix,
number and whether it is the last, so chunks cannot be reordered, dropped, repeated or cut off at
the end. The last chunk is verified whenever a file is opened, so the size is known to be true
before the first byte is given out. Moving a file to another name is refused, like moving a value.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.files.base import File
from django.core.files.storage import Storage, storages
from django.utils.deconstruct import deconstructible
from django.utils.module_loading import import_string

from encryption.cipher import HEADER_BYTES, NONCE_BYTES, TAG_BYTES, header, key_id_of
from encryption.errors import DecryptionFailed
from encryption.failures import report
from encryption.keyring import keyring
from encryption.keyring.material import KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

CHUNK_BYTES = 64 * 1024
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
MAGIC = b"GEF\x01"
PREFIX_BYTES = 7
KEY_ID_END = len(MAGIC) + HEADER_BYTES - 1
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES
WRAPPED_END = KEY_ID_END + WRAPPED_BYTES
FILE_HEADER_BYTES = WRAPPED_END + PREFIX_BYTES
MOST_CHUNKS = 2**32
NOT_A_NAME = 8  # names tried before giving up on a storage that keeps choosing another one


class FileKey(NamedTuple):
    """What opens and seals the chunks of one file."""

    aes: AESGCM
    prefix: bytes

    def nonce(self, number: int, *, is_last: bool) -> bytes:
        """Give a chunk's nonce: prefix ‖ number ‖ last."""
        return self.prefix + struct.pack(">IB", number, is_last)


def _wrapping(key_id: str) -> AESGCM:
    key = keyring().keys.get(key_id)
    if key is None:
        raise _failure(
            f"is encrypted under key {key_id!r}, which is not in the keyring. Put that key back "
            "into ENCRYPTION_KEYS after the active one.",
            "key_missing",
            key_id,
        )
    return AESGCM(key.material.derive("files"))


def _failure(what: str, reason: str, key_id: str = "") -> DecryptionFailed:
    return DecryptionFailed(f"A stored file {what}", reason=reason, place="files", key_id=key_id)


def _changed(key_id: str) -> DecryptionFailed:
    return _failure(
        "does not verify: it was changed, cut, reordered, or moved here from another name. Restore "
        "it from a backup.",
        "not_authentic",
        key_id,
    )


def new_header(name: str) -> tuple[bytes, FileKey]:
    """Make a file's own key, and the header that carries it."""
    secret, prefix = os.urandom(KEY_BYTES), os.urandom(PREFIX_BYTES)
    return _header(name, secret, prefix), FileKey(AESGCM(secret), prefix)


def _header(name: str, secret: bytes, prefix: bytes) -> bytes:
    ring = keyring()
    first = MAGIC + header(ring.active.id)[1:]
    nonce = os.urandom(NONCE_BYTES)
    wrapped = _wrapping(ring.active.id).encrypt(nonce, secret, first + prefix + name.encode())
    return first + nonce + wrapped + prefix


def _secret_of(head: bytes, name: str) -> bytes:
    key_id = file_key_id(head)
    first, prefix = head[:KEY_ID_END], head[WRAPPED_END:FILE_HEADER_BYTES]
    nonce = head[KEY_ID_END : KEY_ID_END + NONCE_BYTES]
    wrapped = head[KEY_ID_END + NONCE_BYTES : WRAPPED_END]
    aes = _wrapping(key_id)
    try:
        return aes.decrypt(nonce, wrapped, first + prefix + name.encode())
    except (InvalidTag, ValueError):
        pass
    raise _changed(key_id)


def file_key_id(head: bytes) -> str:
    """Read the master key's id off a file's header, or refuse what is no such header."""
    if len(head) < FILE_HEADER_BYTES or not head.startswith(MAGIC):
        raise _failure(
            "has no header of a known version; it may never have been encrypted.", "malformed"
        )
    return key_id_of(b"\x01" + head[len(MAGIC) : KEY_ID_END])


class EncryptingReader(File):  # type: ignore[type-arg]  # generic only in the stubs
    """Clear content in, header and sealed chunks out; what a storage saves. Memory is constant."""

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
        """Give header and chunks, from the start."""
        self._stream, self._buffer = self._sealed(), b""
        yield from self._stream

    def multiple_chunks(self, chunk_size: int | None = None) -> bool:  # noqa: ARG002
        """Tell that it comes in parts, always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Give the next bytes, for storages that read (S3)."""
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


def sealed_size(clear: int) -> int:
    """Give the size in the storage of a file of so many clear bytes."""
    chunks = max(1, -(-clear // CHUNK_BYTES))
    return FILE_HEADER_BYTES + clear + chunks * TAG_BYTES


def clear_size(sealed: int) -> int:
    """Give the clear size of a stored file; sizes that cannot be are refused."""
    body = sealed - FILE_HEADER_BYTES
    chunks = max(1, -(-body // SEALED_CHUNK_BYTES))
    if body < TAG_BYTES or body - (chunks - 1) * SEALED_CHUNK_BYTES < TAG_BYTES:
        raise _changed("")
    return body - chunks * TAG_BYTES


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
        self._key = FileKey(AESGCM(_secret_of(head, name)), head[WRAPPED_END:])
        self.length = clear_size(int(stored.size))
        self._last = max(0, -(-self.length // CHUNK_BYTES) - 1)
        self._chunk(self._last)

    def _read_stored(self, start: int, size: int) -> bytes:
        self._stored.seek(start)
        return bytes(self._stored.read(size))

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
        raise _changed(self._key_id)

    def readable(self) -> bool:
        """Be read."""
        return True

    def seekable(self) -> bool:
        """Be read anywhere."""
        return True

    def tell(self) -> int:
        """Give the place in the clear text."""
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


class _ClearFile(File):  # type: ignore[type-arg]
    """What a caller gets: a Django file whose size is the clear one."""

    def __init__(self, opened: EncryptedFile, name: str) -> None:
        super().__init__(io.BufferedReader(opened, CHUNK_BYTES), name)
        self.size = opened.length


@deconstructible(path="encryption.storage.EncryptedStorage")
class EncryptedStorage(Storage):
    """Wrap another storage: ``OPTIONS = {"storage": "plain"}`` or ``{"storage": {"BACKEND": …}}``.

    ``url()`` is refused, since what lies there is ciphertext: serve these files by a view. Names
    stay readable in the storage; choose them accordingly.
    """

    def __init__(self, storage: str | dict[str, Any] = "default") -> None:
        """Name the wrapped storage by its alias, or describe it as in ``STORAGES``."""
        self._described = storage

    @property
    def inner(self) -> Storage:
        """The storage that holds the ciphertext."""
        if isinstance(self._described, str):
            return storages[self._described]
        if not hasattr(self, "_made"):
            self._made = storages.create_storage(self._described)
        return self._made

    def _save(self, name: str, content: File[Any]) -> str:
        """Encrypt for a name; where the inner storage chose another one, encrypt for that."""
        for _ in range(NOT_A_NAME):
            chosen = self.inner._save(name, EncryptingReader(content, name))  # type: ignore[attr-defined]
            if chosen == name:
                return name
            self.inner.delete(chosen)
            name = self.inner.get_available_name(chosen)
        raise OSError("The storage keeps choosing another name than the one asked for.")

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        if set(mode) & set("wa+"):
            raise ValueError("Encrypted files are written by save(), whole, and not in place.")
        stored = self.inner.open(name, "rb")
        try:
            return _ClearFile(EncryptedFile(stored, name), name)
        except DecryptionFailed as failure:
            stored.close()
            report(failure, target=f"file:{name}")
            raise

    def size(self, name: str) -> int:
        """Give the clear size, as the stored size tells it; opening verifies it."""
        return clear_size(self.inner.size(name))

    def url(self, name: str | None) -> str:  # noqa: ARG002
        """Refuse: an address would serve ciphertext."""
        raise ValueError("Encrypted files have no address; serve them by a view that opens them.")

    def delete(self, name: str) -> None:
        """Delete."""
        self.inner.delete(name)

    def exists(self, name: str) -> bool:
        """Tell whether there is such a file."""
        return self.inner.exists(name)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """List folders and files."""
        return self.inner.listdir(path)

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Let the inner storage choose."""
        return self.inner.get_available_name(name, max_length)

    def get_accessed_time(self, name: str) -> datetime:
        """Ask the inner storage."""
        return self.inner.get_accessed_time(name)

    def get_created_time(self, name: str) -> datetime:
        """Ask the inner storage."""
        return self.inner.get_created_time(name)

    def get_modified_time(self, name: str) -> datetime:
        """Ask the inner storage."""
        return self.inner.get_modified_time(name)

    # --- keys -------------------------------------------------------------------------------------

    def names(self, folder: str = "") -> Iterator[str]:
        """Give every file's name, folder by folder."""
        folders, files = self.inner.listdir(folder)
        for file in files:
            yield f"{folder}/{file}" if folder else file
        for sub in folders:
            yield from self.names(f"{folder}/{sub}" if folder else sub)

    def key_id(self, name: str) -> str:
        """Tell under which master key a file's own key is wrapped; "" where it is no such file."""
        try:
            return file_key_id(self._head(name))
        except DecryptionFailed:
            return ""

    def _head(self, name: str) -> bytes:
        with self.inner.open(name, "rb") as stored:
            return bytes(stored.read(FILE_HEADER_BYTES))

    def rotate(self) -> int:
        """Encrypt every file anew that is under an older key; gives how many there were."""
        active, rotated = keyring().active.id, 0
        for name in list(self.names()):
            if self.key_id(name) not in ("", active):
                self._replace(name)
                rotated += 1
        return rotated

    def _replace(self, name: str) -> None:
        """Wrap a file's key anew; the chunks stay. A kill leaves the old file or the new one."""
        head = self._head(name)
        prefix = head[WRAPPED_END:]
        new = _header(name, _secret_of(head, name), prefix)
        try:
            path = Path(self.inner.path(name))
        except NotImplementedError:
            self._replace_remote(name, new)
            return
        beside = path.with_name(f".{path.name}.rotating")
        with path.open("rb") as old, beside.open("wb") as made:
            shutil.copystat(path, beside)
            old.seek(FILE_HEADER_BYTES)
            made.write(new)
            shutil.copyfileobj(old, made, SEALED_CHUNK_BYTES)
            made.flush()
            os.fsync(made.fileno())
        beside.replace(path)

    def _replace_remote(self, name: str, new: bytes) -> None:
        """Overwrite an object, where the storage does that in one step (S3 does)."""
        if self.inner.get_available_name(name) != name:
            raise OSError(
                "This storage cannot replace a file in one step; switch overwriting on "
                "(AWS_S3_FILE_OVERWRITE) while the keys rotate."
            )
        with self.inner.open(name, "rb") as stored, tempfile.SpooledTemporaryFile(2**20) as whole:
            stored.seek(FILE_HEADER_BYTES)
            whole.write(new)
            shutil.copyfileobj(stored, whole, SEALED_CHUNK_BYTES)
            whole.seek(0)
            self.inner._save(name, File(whole, name))  # type: ignore[attr-defined]


def encrypted_storages() -> dict[str, EncryptedStorage]:
    """Every encrypted storage that ``STORAGES`` names."""
    # By the class that is named, so that no other storage is made only to be looked at.
    described_by_alias: Any = storages.backends
    aliases = [
        alias
        for alias, described in described_by_alias.items()
        if issubclass(import_string(described["BACKEND"]), EncryptedStorage)
    ]
    handler: Any = storages
    return {alias: handler[alias] for alias in aliases}
