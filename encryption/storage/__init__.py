"""Files at rest: any Django storage behind 64 KiB chunks of AES-256-GCM, readable anywhere."""

from encryption.storage.backend import EncryptedStorage, encrypted_storages
from encryption.storage.layout import (
    CHUNK_BYTES,
    FILE_HEADER_BYTES,
    SEALED_CHUNK_BYTES,
    clear_size,
    sealed_size,
)
from encryption.storage.streams import EncryptedFile, EncryptingReader

__all__ = [
    "CHUNK_BYTES",
    "FILE_HEADER_BYTES",
    "SEALED_CHUNK_BYTES",
    "EncryptedFile",
    "EncryptedStorage",
    "EncryptingReader",
    "clear_size",
    "encrypted_storages",
    "sealed_size",
]
