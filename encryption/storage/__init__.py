"""Files at rest: any Django storage behind 64 KiB chunks of AES-256-GCM, readable anywhere."""

from encryption.storage.backend import EncryptedStorage, encrypted_storages

__all__ = ["EncryptedStorage", "encrypted_storages"]
