"""The keys of this process, and the ciphers made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.utils.module_loading import import_string

from encryption.cipher import FieldCipher
from encryption.conf import settings
from encryption.errors import KeyringUnusable, KeyUnknown
from garrison.conf import remembered
from garrison.keys import KEY_BYTES, Key, Keyring, Mac, Secret

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from encryption.keyring.providers import KeyProvider
    from encryption.shredding import SubjectKeyState


class EncryptionKeyring(Keyring[Key[Secret]]):
    """The master keys, the first one active; and what is made of them once and kept."""

    def __init__(self, keys: Sequence[Key[Secret]]) -> None:
        """Take the keys, active one first; another length than 32 bytes is refused."""
        super().__init__({key.id: key for key in keys})
        for key in keys:
            if (size := len(key.value.reveal())) != KEY_BYTES:
                raise KeyringUnusable(
                    f"Encryption key {key.id!r} is {size} bytes; {KEY_BYTES} are needed."
                )
        self.ciphers: dict[str, FieldCipher] = {}
        self.index_macs: dict[tuple[str, str], Mac] = {}
        self.subject_keys: dict[bytes, tuple[float, SubjectKeyState]] = {}  # with their expiry

    def cipher(self, label: str, place: str = "") -> FieldCipher:
        """Return the cipher of ``app.model.field``; ``place`` is how sentences call the field."""
        known = self.ciphers.get(label)
        if known is None:
            # Two threads may both make one; they are alike, and the last one stays.
            known = self.ciphers[label] = FieldCipher(self, label, place or label)
        return known

    def key(self, key_id: str) -> Key[Secret]:
        """Return a key by id, or raise :class:`~encryption.errors.KeyUnknown`."""
        try:
            return self.by_id[key_id]
        except KeyError:
            known = ", ".join(self.by_id)
            raise KeyUnknown(f"Key {key_id!r} is not in the ring; the keys are {known}.") from None

    def index_key(self) -> Key[Secret]:
        """Return the key of blind indexes: the one named, or the only one.

        With two keys and none named there is no safe guess: an index computed under another key
        finds nothing and lets duplicates in.
        """
        if settings.index_key:
            return self.key(settings.index_key)
        if len(self.by_id) == 1:
            return self.active
        raise KeyringUnusable(
            "There are several encryption keys and ENCRYPTION_INDEX_KEY names none. Set it to the "
            "id of the key that blind indexes were first written under."
        )

    def subject_key(self, key_uuid: bytes) -> SubjectKeyState:
        """Return what is known of a person's key, which an envelope names by its UUID."""
        from encryption.shredding import find_key

        return find_key(self, key_uuid)

    def retired_on(self, key_id: str) -> datetime | None:
        """Return when a key was retired, for the sentence of a failed read; never raises."""
        from encryption.models import KeyVersion

        return KeyVersion.retired_on(key_id)


@remembered("ENCRYPTION_")
def keyring() -> EncryptionKeyring:
    """Return the keys of this process, as the provider returned them at the first use.

    They are asked for again when a setting changes, and after ``keyring.cache_clear()``.
    """
    provider = cast("KeyProvider", import_string(settings.key_provider)())
    return EncryptionKeyring(provider.keys())
