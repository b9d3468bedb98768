"""Per-subject keys, so that a person's values can be made unreadable everywhere at once.

A field with ``subject="owner"`` is encrypted under the key of the owner. That key is thirty-two
random bytes, wrapped under the active master key and kept as one small object in the storage that
``ENCRYPTION_SUBJECT_KEYS_STORAGE`` names: outside of the database, so that no dump of it and no
backup of it holds one. Erasing deletes the object; what was encrypted under it is then noise, in
the live rows, in every replica and in every backup alike.

What it does not promise: that the storage keeps no copies of its own. Switch versioning and
snapshots off there, and replicate it instead of backing it up.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.files.base import ContentFile
from django.core.files.storage import InvalidStorageError, storages
from django.db import IntegrityError, transaction
from django.utils import timezone

from encryption.conf import settings
from encryption.errors import KeyringUnusable
from encryption.keyring import KeyMaterial, keyring
from encryption.keyring.material import KEY_BYTES
from encryption.models import SubjectKey

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.core.files.storage import Storage

WRAPPING = "encryption.subject_keys"  # the label wrapped keys are bound to
LONGEST_WRAPPED = 256  # bytes


@dataclass(frozen=True, slots=True)
class LivingKey:
    """A subject's key, ready to encrypt with."""

    uuid: UUID
    material: KeyMaterial


@dataclass(frozen=True, slots=True)
class FoundKey:
    """What is known of a key id: its material, or that it was erased, or neither."""

    material: KeyMaterial | None
    is_erased: bool


def subject_storage() -> Storage:
    """Give the storage of subject keys, or say which setting is missing."""
    try:
        return storages[settings.subject_keys_storage]
    except InvalidStorageError:
        raise KeyringUnusable(
            f"STORAGES has no {settings.subject_keys_storage!r}, where the keys of people would "
            "live. Add it, on a place that no backup reads, or name another one in "
            "ENCRYPTION_SUBJECT_KEYS_STORAGE."
        ) from None


# --- using keys -----------------------------------------------------------------------------------

_cached: dict[bytes, tuple[float, KeyMaterial]] = {}
MOST_CACHED = 10_000


def key_for(subject: str) -> LivingKey:
    """Give the subject's key; the first value of a person makes one.

    A subject that was erased and comes back gets a new key: the old values stay unreadable.
    """
    row = SubjectKey.objects.filter(subject=subject, erased_at=None).first()
    if row is None:
        row = _make(subject)
    found = find_key(row.id.bytes)
    if found.material is None:
        raise KeyringUnusable(
            f"The key of {subject} is not in the storage that ENCRYPTION_SUBJECT_KEYS_STORAGE "
            "names. Mount or restore that storage."
        )
    return LivingKey(row.id, found.material)


def _make(subject: str) -> SubjectKey:
    """Make a key; of two processes at once one wins, by the constraint, and both use its key."""
    row = SubjectKey(subject=subject, created_at=timezone.now())
    # The object is written before the row is: a row without its key could never be used, while an
    # object that no row names is only waste.
    _write(row.id.bytes, KeyMaterial(os.urandom(KEY_BYTES)))
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        subject_storage().delete(_name(row.id.bytes, keyring().active.id))
        return SubjectKey.objects.get(subject=subject, erased_at=None)
    return row


def find_key(key_uuid: bytes) -> FoundKey:
    """Find a key by the id that an envelope carries; cached for a few seconds."""
    now = time.monotonic()
    cached = _cached.get(key_uuid)
    if cached is not None and cached[0] > now:
        return FoundKey(cached[1], is_erased=False)
    material = _read(key_uuid)
    if material is None:
        _cached.pop(key_uuid, None)
        # The mark stands beside the keys, not in the database: a restored dump knows of no erasure.
        is_erased = subject_storage().exists(f"{key_uuid.hex()}.erased")
        return FoundKey(None, is_erased=is_erased)
    if len(_cached) >= MOST_CACHED:
        _cached.clear()
    _cached[key_uuid] = (now + settings.subject_key_cache_seconds, material)
    return FoundKey(material, is_erased=False)


def forget(key_uuid: bytes) -> None:
    """Drop a key from this process at once."""
    _cached.pop(key_uuid, None)


# --- the objects ----------------------------------------------------------------------------------
# <uuid>.<master key id>.key holds a wrapped key; <uuid>.erased says that there was one.


def _write(key_uuid: bytes, material: KeyMaterial) -> None:
    ring = keyring()
    cipher = ring.cipher(WRAPPING)
    wrapped = material.hand_to(lambda secret: cipher.seal(secret, key_uuid))
    subject_storage().save(_name(key_uuid, ring.active.id), ContentFile(wrapped))


def _name(key_uuid: bytes, key_id: str) -> str:
    return f"{key_uuid.hex()}.{key_id}.key"


def _read(key_uuid: bytes) -> KeyMaterial | None:
    store, ring = subject_storage(), keyring()
    for key_id in ring.keys:
        try:
            with store.open(_name(key_uuid, key_id)) as stored:
                wrapped = stored.read(LONGEST_WRAPPED)
        except FileNotFoundError:
            continue
        return KeyMaterial(ring.cipher(WRAPPING).open(wrapped, key_uuid))
    return None


def destroy(key_uuid: bytes, *, erased_at: datetime) -> None:
    """Delete every object of a key and leave a mark; it being gone already is as good."""
    store = subject_storage()
    mark = f"{key_uuid.hex()}.erased"
    if not store.exists(mark):
        store.save(mark, ContentFile(erased_at.isoformat().encode()))
    for name in store.listdir("")[1]:
        if name.startswith(key_uuid.hex()) and name.endswith(".key"):
            store.delete(name)
    forget(key_uuid)


def wrapped_under() -> dict[str, int]:
    """Count the subject keys by the master key they are wrapped under."""
    if not SubjectKey.objects.exists():
        return {}
    names = (name.split(".", 1) for name in subject_storage().listdir("")[1])
    return dict(Counter(rest.removesuffix(".key") for _, rest in names if rest.endswith(".key")))


def rewrap() -> int:
    """Bring every wrapped key to the active master key; gives how many there were to bring.

    The new object is written before the old one is deleted, so a kill in between loses nothing.
    """
    ring, store, rewrapped = keyring(), subject_storage(), 0
    for name in store.listdir("")[1]:
        hexadecimal, _, rest = name.partition(".")
        if not rest.endswith(".key") or rest == f"{ring.active.id}.key":
            continue
        key_uuid = bytes.fromhex(hexadecimal)
        material = _read(key_uuid)
        if material is None:
            continue  # wrapped under a key that is not in the ring; encryption_status names it
        if not store.exists(_name(key_uuid, ring.active.id)):
            _write(key_uuid, material)
        store.delete(name)
        rewrapped += 1
    return rewrapped
