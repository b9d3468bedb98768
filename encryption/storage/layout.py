"""How an encrypted file lies in its storage, and what must agree for it to open.

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

import os
import struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from encryption.cipher import HEADER_BYTES, NONCE_BYTES, TAG_BYTES, derived, header, key_id_of
from encryption.errors import DecryptionFailed
from encryption.keyring import keyring
from garrison.keys import KEY_BYTES

CHUNK_BYTES = 64 * 1024
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
MAGIC = b"GEF\x01"
PREFIX_BYTES = 7
KEY_ID_END = len(MAGIC) + HEADER_BYTES - 1
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES
WRAPPED_END = KEY_ID_END + WRAPPED_BYTES
FILE_HEADER_BYTES = WRAPPED_END + PREFIX_BYTES
MOST_CHUNKS = 2**32


class FileKey(NamedTuple):
    """What opens and seals the chunks of one file."""

    aes: AESGCM
    prefix: bytes

    def nonce(self, number: int, *, is_last: bool) -> bytes:
        """Return a chunk's nonce: prefix ‖ number ‖ last."""
        return self.prefix + struct.pack(">IB", number, is_last)


def _wrapping(key_id: str) -> AESGCM:
    key = keyring().by_id.get(key_id)
    if key is None:
        raise _failure(
            f"is encrypted under key {key_id!r}, which is not in the keyring. Put that key back "
            "into ENCRYPTION_KEYS after the active one.",
            "key_missing",
            key_id,
        )
    return AESGCM(derived(key.value, "files"))


def _failure(what: str, reason: str, key_id: str = "") -> DecryptionFailed:
    return DecryptionFailed(f"A stored file {what}", reason=reason, place="files", key_id=key_id)


def changed(key_id: str) -> DecryptionFailed:
    """Return what is raised for every damage alike."""
    return _failure(
        "does not verify: it was changed, cut, reordered, or moved here from another name. Restore "
        "it from a backup.",
        "not_authentic",
        key_id,
    )


def new_header(name: str) -> tuple[bytes, FileKey]:
    """Make a file's own key, and the header that carries it."""
    secret, prefix = os.urandom(KEY_BYTES), os.urandom(PREFIX_BYTES)
    return header_for(name, secret, prefix), FileKey(AESGCM(secret), prefix)


def header_for(name: str, secret: bytes, prefix: bytes) -> bytes:
    """Wrap a file's own key under the active master key, bound to the file's name."""
    ring = keyring()
    first = MAGIC + header(ring.active.id)[1:]
    nonce = os.urandom(NONCE_BYTES)
    wrapped = _wrapping(ring.active.id).encrypt(nonce, secret, first + prefix + name.encode())
    return first + nonce + wrapped + prefix


def secret_of(head: bytes, name: str) -> bytes:
    """Unwrap a file's own key, or refuse."""
    key_id = file_key_id(head)
    first, prefix = head[:KEY_ID_END], head[WRAPPED_END:FILE_HEADER_BYTES]
    nonce = head[KEY_ID_END : KEY_ID_END + NONCE_BYTES]
    wrapped = head[KEY_ID_END + NONCE_BYTES : WRAPPED_END]
    aes = _wrapping(key_id)
    try:
        return aes.decrypt(nonce, wrapped, first + prefix + name.encode())
    except (InvalidTag, ValueError):
        pass
    raise changed(key_id)


def file_key_id(head: bytes) -> str:
    """Read the master key's id off a file's header, or refuse what is no such header."""
    if len(head) < FILE_HEADER_BYTES or not head.startswith(MAGIC):
        raise _failure(
            "has no header of a known version; it may never have been encrypted.", "malformed"
        )
    return key_id_of(b"\x01" + head[len(MAGIC) : KEY_ID_END])


def sealed_size(clear: int) -> int:
    """Return the size in the storage of a file of so many clear bytes."""
    chunks = max(1, -(-clear // CHUNK_BYTES))
    return FILE_HEADER_BYTES + clear + chunks * TAG_BYTES


def clear_size(sealed: int) -> int:
    """Return the clear size of a stored file; sizes that cannot be are refused."""
    body = sealed - FILE_HEADER_BYTES
    chunks = max(1, -(-body // SEALED_CHUNK_BYTES))
    last = body - (chunks - 1) * SEALED_CHUNK_BYTES
    # Only an empty file ends with an empty chunk; after others, a tag's length could be appended.
    if last < TAG_BYTES or (last == TAG_BYTES and chunks > 1):
        raise changed("")
    return body - chunks * TAG_BYTES
