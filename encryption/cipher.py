"""The envelope: how one value is sealed, and what must agree for it to open.

=========  =====  ============================================================
version    1      0x01: under a key of the ring; 0x02: under a subject's key
key id     12     ASCII, filled with NUL (0x01) · 16 bytes, the key's UUID (0x02)
nonce      12     random (NIST SP 800-38D, 8.2.2)
sealed     n+16   AES-256-GCM ciphertext and tag
=========  =====  ============================================================

Authenticated with it, and stored nowhere: version and key id, ``app.model.field``, and the sixteen
bytes of the row. The key is derived for the field alone (HKDF), so the bound of 2³² random nonces
per key counts the writes of one field under one key version, not those of the whole site.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from encryption.errors import DecryptionFailed, SubjectErased
from garrison.keys import KEY_BYTES, derive

if TYPE_CHECKING:
    from collections.abc import Callable

    from encryption.keyring.ring import EncryptionKeyring
    from garrison.keys import Secret

RING_VERSION = b"\x01"
SUBJECT_VERSION = b"\x02"
NONCE_BYTES = 12  # NIST SP 800-38D: 96 bits, used without hashing
TAG_BYTES = 16
ROW_BYTES = 16
HEADER_BYTES = 13  # version and key id
SUBJECT_HEADER_BYTES = 17
NONCE_END = HEADER_BYTES + NONCE_BYTES
OVERHEAD_BYTES = HEADER_BYTES + NONCE_BYTES + TAG_BYTES

# What a SELECT puts before the envelope, so that a value knows its row wherever it is read:
MARK_BYTES_ROW = 0xA1  # sixteen bytes follow
MARK_HEX_ROW = 0x41  # thirty-two hexadecimal digits follow (SQLite stores UUIDs so)


class Decryptor(NamedTuple):
    """What one key version needs to open the values of one field."""

    decrypt: Callable[[bytes, bytes, bytes | None], bytes]
    context: bytes


def derived(key: Secret, purpose: str, *, length: int = KEY_BYTES) -> bytes:
    """Derive from a master key the one for a purpose, such as ``files`` or ``field/<label>``."""
    return derive(key.reveal(), f"django-garrison/encryption/v1/{purpose}", length=length)


def header(key_id: str) -> bytes:
    """Return version and key id as an envelope carries them."""
    return RING_VERSION + key_id.encode("ascii").ljust(HEADER_BYTES - 1, b"\0")


def key_id_of(envelope: bytes) -> str:
    """Read the key id of an envelope, for people; of a damaged one, what can be shown."""
    if envelope[:1] == SUBJECT_VERSION:
        return f"subject {envelope[1:SUBJECT_HEADER_BYTES].hex()}"
    name = envelope[1:HEADER_BYTES].rstrip(b"\0").decode("ascii", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)


class FieldCipher:
    """Seals and opens the values of one field; made once, and safe to share between threads."""

    __slots__ = ("_active", "_decryptors", "active_header", "label", "place", "ring")

    def __init__(self, ring: EncryptionKeyring, label: str, place: str) -> None:
        """Derive the active key; the others are derived when first met."""
        self.ring = ring
        self.label = label
        self.place = place
        self.active_header = header(ring.active.id)  # of every envelope that needs no rotation
        context, aes = self._context(self.active_header), self._aes(ring.active.value)
        self._decryptors = {self.active_header: Decryptor(aes.decrypt, context)}
        self._active = (aes.encrypt, self.active_header, context)

    @property
    def active_decryptor(self) -> Decryptor:
        """What opens the values under the active key."""
        return self._decryptors[self.active_header]

    def seal(self, plaintext: bytes, row: bytes) -> bytes:
        """Encrypt under the active key, bound to the row's sixteen bytes."""
        encrypt, first, context = self._active
        nonce = os.urandom(NONCE_BYTES)
        return first + nonce + encrypt(nonce, plaintext, context + row)

    def seal_for_subject(
        self, plaintext: bytes, row: bytes, *, key: Secret, key_uuid: bytes
    ) -> bytes:
        """Encrypt under a subject's own key."""
        first = SUBJECT_VERSION + key_uuid
        nonce = os.urandom(NONCE_BYTES)
        aad = self._context(first) + row
        return first + nonce + self._aes(key).encrypt(nonce, plaintext, aad)

    def open(self, envelope: bytes, row: bytes) -> bytes:
        """Decrypt, or raise :class:`~encryption.errors.DecryptionFailed`, whatever is wrong."""
        decryptor, start = self._decryptors.get(envelope[:HEADER_BYTES]), HEADER_BYTES
        if decryptor is None:
            decryptor = self._decryptor_for(envelope)
            is_subjects = envelope[:1] == SUBJECT_VERSION
            start = SUBJECT_HEADER_BYTES if is_subjects else HEADER_BYTES
        end = start + NONCE_BYTES
        try:
            return decryptor.decrypt(envelope[start:end], envelope[end:], decryptor.context + row)
        except (InvalidTag, ValueError):
            pass
        raise self._not_authentic(envelope)

    def open_selected(self, selected: bytes) -> bytes:
        """Open what a SELECT returned: mark, row, envelope."""
        row, envelope = split(selected)
        if row is None:
            raise self._malformed()
        return self.open(envelope, row)

    def _decryptor_for(self, envelope: bytes) -> Decryptor:
        """Return what opens values under a key not met before; a subject's is not kept here."""
        if envelope[:1] == SUBJECT_VERSION and len(envelope) > SUBJECT_HEADER_BYTES:
            first = envelope[:SUBJECT_HEADER_BYTES]
            found = self.ring.subject_key(first[1:])
            if found.key is None:
                raise self._subject_gone(envelope, is_erased=found.is_erased)
            return Decryptor(self._aes(found.key).decrypt, self._context(first))
        first = envelope[:HEADER_BYTES]
        if first[:1] != RING_VERSION or len(envelope) < OVERHEAD_BYTES:
            raise self._malformed()
        key = self.ring.by_id.get(key_id_of(envelope))
        if key is None or header(key.id) != first:
            raise self._key_missing(key_id_of(envelope))
        made = Decryptor(self._aes(key.value).decrypt, self._context(first))
        return self._decryptors.setdefault(first, made)

    def _aes(self, key: Secret) -> AESGCM:
        return AESGCM(derived(key, f"field/{self.label}"))

    def _context(self, first: bytes) -> bytes:
        return first + self.label.encode() + b"\0"

    # --- what went wrong, in a sentence; built in frames that hold no key and no value ---

    def _failed(self, what: str, reason: str, key_id: str = "") -> DecryptionFailed:
        sentence = f"A value of {self.place} {what}"
        return DecryptionFailed(sentence, reason=reason, place=self.place, key_id=key_id)

    def _not_authentic(self, envelope: bytes) -> DecryptionFailed:
        key_id = key_id_of(envelope)
        return self._failed(
            f"under key {key_id!r} does not verify: it was changed, or moved here from another "
            f"row, column or table, or key {key_id!r} is not the one it was encrypted with. "
            "Compare `manage.py encryption_status`, or restore the row.",
            "not_authentic",
            key_id,
        )

    def _malformed(self) -> DecryptionFailed:
        return self._failed(
            "is no envelope of a known version. A column that held clear or foreign values is "
            "taken over by the EncryptField migration operation or by "
            "`manage.py encryption_import`.",
            "malformed",
        )

    def _key_missing(self, key_id: str) -> DecryptionFailed:
        day = self.ring.retired_on(key_id)
        state = f"was retired on {day:%Y-%m-%d}" if day else "is not in the keyring"
        return self._failed(
            f"is encrypted under key {key_id!r}, which {state}. Put that key back into "
            "ENCRYPTION_KEYS after the active one, then run `manage.py encryption_rotate`.",
            "key_missing",
            key_id,
        )

    def _subject_gone(self, envelope: bytes, *, is_erased: bool) -> DecryptionFailed:
        key_id = key_id_of(envelope)
        if is_erased:
            return SubjectErased(
                f"A value of {self.place} belonged to a person whose key ({key_id}) was erased.",
                reason="subject_erased",
                place=self.place,
                key_id=key_id,
            )
        return self._failed(
            f"needs the key of {key_id}, which is not in the storage that "
            "ENCRYPTION_SUBJECT_KEYS_STORAGE names. Mount or restore that storage.",
            "key_missing",
            key_id,
        )


def split(selected: bytes) -> tuple[bytes | None, bytes]:
    """Part a selected value into its row and its envelope; a bare envelope has no row."""
    mark = selected[0] if selected else 0
    if mark == MARK_BYTES_ROW:
        return selected[1:17], selected[17:]
    if mark == MARK_HEX_ROW:
        try:
            return bytes.fromhex(selected[1:33].decode("ascii")), selected[33:]
        except ValueError:
            return None, selected
    return None, selected
