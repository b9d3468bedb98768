"""The keys of this process, and the ciphers made of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from encryption.cipher import FieldCipher
from encryption.conf import settings
from encryption.errors import KeyringUnusable, KeyUnknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from encryption.keyring.material import Key
    from encryption.keyring.providers import KeyProvider


class Keyring:
    """Every key by id, the first one active; and one cipher per field, made once and kept."""

    def __init__(self, keys: Sequence[Key]) -> None:
        """Take the keys in order of preference."""
        self.keys = {key.id: key for key in keys}
        self.active = keys[0]
        self.ciphers: dict[str, FieldCipher] = {}
        self.index_secrets: dict[tuple[str, str], bytes] = {}

    def cipher(self, label: str, place: str = "") -> FieldCipher:
        """Return the cipher of ``app.model.field``; ``place`` is how sentences call the field."""
        known = self.ciphers.get(label)
        if known is None:
            # Two threads may both make one; they are alike, and the last one stays.
            known = self.ciphers[label] = FieldCipher(self, label, place or label)
        return known

    def key(self, key_id: str) -> Key:
        """Return a key by id, or raise :class:`~encryption.errors.KeyUnknown`."""
        try:
            return self.keys[key_id]
        except KeyError:
            known = ", ".join(self.keys)
            raise KeyUnknown(f"Key {key_id!r} is not in the ring; the keys are {known}.") from None

    def index_key(self) -> Key:
        """Return the key of blind indexes: the one named, or the only one.

        With two keys and none named there is no safe guess: an index computed under another key
        finds nothing and lets duplicates in.
        """
        if settings.index_key:
            return self.key(settings.index_key)
        if len(self.keys) == 1:
            return self.active
        raise KeyringUnusable(
            "There are several encryption keys and ENCRYPTION_INDEX_KEY names none. Set it to the "
            "id of the key that blind indexes were first written under."
        )

    def __repr__(self) -> str:
        """Name the keys by id."""
        return f"<Keyring {', '.join(self.keys)}>"


current: Keyring | None = None  # read directly where every nanosecond counts; else keyring()
_loading = threading.Lock()


def keyring() -> Keyring:
    """Return the keys of this process; the provider is asked once."""
    return current or _load()


def _load() -> Keyring:
    global current  # noqa: PLW0603 - one ring per process is the point
    with _loading:
        if current is None:
            provider = cast("KeyProvider", import_string(settings.key_provider)())
            current = Keyring(provider.keys())
        return current


def forget() -> None:
    """Ask the provider again at the next use; for tests and for a provider whose keys changed."""
    global current  # noqa: PLW0603
    current = None


def _forget_on_change(*, setting: str, **_: Any) -> None:
    if setting.startswith("ENCRYPTION_"):
        forget()


setting_changed.connect(_forget_on_change, dispatch_uid="encryption.keyring.forget")
