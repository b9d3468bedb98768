"""Bringing files to the active key: the header of each is written anew, its chunks stay."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.files.base import File

from encryption.failures import Tally, rewrap_each
from encryption.keyring import keyring
from encryption.storage.layout import (
    FILE_HEADER_BYTES,
    SEALED_CHUNK_BYTES,
    WRAPPED_END,
    header_for,
    secret_of,
)

if TYPE_CHECKING:
    from encryption.storage.backend import EncryptedStorage

BEGINS, ENDS = ".", ".rotating"  # around the name of a file that is being made beside another


def is_left_over(file: str) -> bool:
    """Return whether a file was being made when a rotation was killed; it is no file of anybody."""
    return file.startswith(BEGINS) and file.endswith(ENDS)


def rotate(store: EncryptedStorage) -> Tally:
    """Wrap the key of every file anew that is under an older master key."""
    return rewrap_each(
        list(store.names()), lambda name: _rewrap(store, name), target=lambda name: f"file:{name}"
    )


def _rewrap(store: EncryptedStorage, name: str) -> bool | None:
    """Write a file anew; a kill leaves the old one or the new one."""
    if store.key_id(name) in ("", keyring().active.id):
        return None
    head = store.head(name)
    new = header_for(name, secret_of(head, name), head[WRAPPED_END:])
    path = _path(store, name)
    return _replace_object(store, name, head, new) if path is None else _replace_file(path, new)


def _path(store: EncryptedStorage, name: str) -> Path | None:
    """Return the file, where the storage keeps files; a storage in memory has paths to nothing."""
    try:
        path = Path(store.inner.path(name))
    except NotImplementedError:  # Django's word for a storage without paths
        return None
    return path if path.exists() else None


def _replace_file(path: Path, new: bytes) -> bool:
    beside = path.with_name(f"{BEGINS}{path.name}{ENDS}")
    with path.open("rb") as old, beside.open("wb") as made:
        shutil.copystat(path, beside)
        old.seek(FILE_HEADER_BYTES)
        made.write(new)
        shutil.copyfileobj(old, made, SEALED_CHUNK_BYTES)
        made.flush()
        os.fsync(made.fileno())
        # A file deleted meanwhile must not come back, nor an older one take a newer one's place.
        if path.exists() and os.path.samestat(os.fstat(old.fileno()), path.stat()):
            beside.replace(path)
            return True
    beside.unlink()
    return False


def _replace_object(store: EncryptedStorage, name: str, head: bytes, new: bytes) -> bool:
    """Overwrite an object, where the storage does that in one step (S3 does)."""
    inner = store.inner
    if inner.get_available_name(name) != name:
        raise OSError(
            "This storage cannot replace a file in one step; switch overwriting on "
            "(AWS_S3_FILE_OVERWRITE) while the keys rotate."
        )
    with inner.open(name, "rb") as stored, tempfile.SpooledTemporaryFile(2**20) as whole:
        stored.seek(FILE_HEADER_BYTES)
        whole.write(new)
        shutil.copyfileobj(stored, whole, SEALED_CHUNK_BYTES)
        whole.seek(0)
        if not inner.exists(name) or store.head(name) != head:
            return False  # deleted meanwhile, or written anew: what was read must not come back
        inner.save(name, File(whole, name))
    return True
