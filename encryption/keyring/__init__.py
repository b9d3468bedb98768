"""Keys by version: where they come from, and the ring of this process."""

from encryption.keyring.providers import FileKeyProvider, KeyProvider, SettingsKeyProvider
from encryption.keyring.ring import EncryptionKeyring, keyring
from garrison.keys import Key, Secret

__all__ = [
    "EncryptionKeyring",
    "FileKeyProvider",
    "Key",
    "KeyProvider",
    "Secret",
    "SettingsKeyProvider",
    "keyring",
]
