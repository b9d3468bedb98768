"""The storage wrapper that settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.files.storage import Storage, storages
from django.utils.deconstruct import deconstructible
from django.utils.module_loading import import_string

from encryption.errors import DecryptionFailed
from encryption.failures import report
from encryption.storage import rotation
from encryption.storage.layout import FILE_HEADER_BYTES, clear_size, file_key_id
from encryption.storage.streams import ClearFile, EncryptedFile, EncryptingReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from django.core.files.base import File

    from encryption.failures import Tally

NOT_A_NAME = 8  # names tried before giving up on a storage that keeps choosing another one


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
            chosen = self.inner.save(name, EncryptingReader(content, name))
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
            return ClearFile(EncryptedFile(stored, name), name)
        except DecryptionFailed as failure:
            stored.close()
            report(failure, target=f"file:{name}")
            raise

    def size(self, name: str) -> int:
        """Return the clear size, as the stored size tells it; opening verifies it."""
        return clear_size(self.inner.size(name))

    def url(self, name: str | None) -> str:  # noqa: ARG002
        """Refuse: an address would serve ciphertext."""
        raise ValueError("Encrypted files have no address; serve them by a view that opens them.")

    def delete(self, name: str) -> None:
        """Delete."""
        self.inner.delete(name)

    def exists(self, name: str) -> bool:
        """Return whether there is such a file."""
        return self.inner.exists(name)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """List folders and files."""
        return self.inner.listdir(path)

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Let the inner storage choose."""
        return self.inner.get_available_name(name, max_length)

    def get_accessed_time(self, name: str) -> datetime:
        """Return what the inner storage knows."""
        return self.inner.get_accessed_time(name)

    def get_created_time(self, name: str) -> datetime:
        """Return what the inner storage knows."""
        return self.inner.get_created_time(name)

    def get_modified_time(self, name: str) -> datetime:
        """Return what the inner storage knows."""
        return self.inner.get_modified_time(name)

    # --- keys -------------------------------------------------------------------------------------

    def names(self, folder: str = "") -> Iterator[str]:
        """Return every file's name, folder by folder."""
        folders, files = self.inner.listdir(folder)
        for file in files:
            if not rotation.is_left_over(file):
                yield f"{folder}/{file}" if folder else file
        for sub in folders:
            yield from self.names(f"{folder}/{sub}" if folder else sub)

    def key_id(self, name: str) -> str:
        """Return the id of the master key that wraps a file's own; "" where it is no such file."""
        try:
            return file_key_id(self.head(name))
        except DecryptionFailed:
            return ""

    def head(self, name: str) -> bytes:
        """Return a stored file's header."""
        with self.inner.open(name, "rb") as stored:
            return bytes(stored.read(FILE_HEADER_BYTES))

    def rotate(self) -> Tally:
        """Wrap every file's key anew that is under an older master key."""
        return rotation.rotate(self)


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
