"""Keys by version: where they come from, what they look like, and the ring of this process."""

from encryption.keyring.material import Key, KeyMaterial
from encryption.keyring.providers import FileKeyProvider, KeyProvider, SettingsKeyProvider
from encryption.keyring.ring import Keyring, forget, keyring

__all__ = [
    "FileKeyProvider",
    "Key",
    "KeyMaterial",
    "KeyProvider",
    "Keyring",
    "SettingsKeyProvider",
    "forget",
    "keyring",
]
