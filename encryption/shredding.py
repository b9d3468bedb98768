"""Per-subject keys, so that a person's values can be made unreadable everywhere at once.

A field with ``subject="owner"`` is encrypted under the key of the owner. That key is thirty-two
random bytes, wrapped under the active master key and kept as one small object in the storage that
``ENCRYPTION_SUBJECT_KEYS_STORAGE`` names: outside of the database, so that no dump of it and no
backup of it holds one. Erasing deletes the object; what was encrypted under it is then noise, in
the live rows, in every replica and in every backup alike.

Wrapped with a key is whose it is. Whoever may write the database and gives one person's key to
another would make an erasure miss; such a key is refused when the next value is written.

What it does not promise: that the storage keeps no copies of its own. Switch versioning and
snapshots off there, and replicate it instead of backing it up.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from django.core.files.base import ContentFile
from django.core.files.storage import InvalidStorageError, storages
from django.db import IntegrityError, transaction
from django.utils import timezone

from encryption.conf import settings
from encryption.errors import DecryptionFailed, KeyringUnusable
from encryption.failures import report
from encryption.keyring import KeyMaterial, keyring
from encryption.keyring.material import KEY_BYTES
from encryption.models import SubjectKey
from encryption.rotation import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from django.core.files.storage import Storage

WRAPPING = "encryption.subject_keys"  # the label wrapped keys are bound to
LONGEST_WRAPPED = 256  # bytes
OBJECT = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9._-]{1,12})\.key")


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
    owner: bytes = b""


def subject_storage() -> Storage:
    """Return the storage of subject keys, or say which setting is missing."""
    try:
        return storages[settings.subject_keys_storage]
    except InvalidStorageError:
        raise KeyringUnusable(
            f"STORAGES has no {settings.subject_keys_storage!r}, where the keys of people would "
            "live. Add it, on a place that no backup reads, or name another one in "
            "ENCRYPTION_SUBJECT_KEYS_STORAGE."
        ) from None


# --- using keys -----------------------------------------------------------------------------------

_cached: dict[bytes, tuple[float, FoundKey]] = {}
MOST_CACHED = 10_000


def key_for(subject: str) -> LivingKey:
    """Return the subject's key; the first value of a person makes one.

    A subject that was erased and comes back gets a new key: the old values stay unreadable.
    """
    row = SubjectKey.objects.filter(subject=subject, erased_at=None).first() or _make(subject)
    found = find_key(row.id.bytes)
    if found.is_erased:
        # The row came back with a restored database; the erasure stands.
        SubjectKey.objects.filter(pk=row.pk).update(erased_at=timezone.now())
        row = _make(subject)
        found = find_key(row.id.bytes)
    if found.material is None:
        raise KeyringUnusable(
            f"The key of {subject} is not in the storage that ENCRYPTION_SUBJECT_KEYS_STORAGE "
            "names. Mount or restore that storage."
        )
    if not hmac.compare_digest(found.owner, _owner(subject)):
        raise _not_theirs(subject, row)
    return LivingKey(row.id, found.material)


def is_theirs(key_uuid: bytes, subject: str) -> bool:
    """Return whether a key may be destroyed as this person's: not if it was made for somebody else.

    One that is gone already, or cannot be read, tells nothing, and may.
    """
    try:
        found = find_key(key_uuid)
    except DecryptionFailed:
        return True
    return found.material is None or hmac.compare_digest(found.owner, _owner(subject))


def keys_made_for(subject: str) -> Iterator[UUID]:
    """Open every key in the storage, and give those made for one person."""
    owner = _owner(subject)
    for key_uuid in dict.fromkeys(key_uuid for key_uuid, _ in _objects()):
        try:
            found = _read(key_uuid)
        except DecryptionFailed:
            continue
        if found is not None and hmac.compare_digest(found.owner, owner):
            yield UUID(bytes=key_uuid)


def _owner(subject: str) -> bytes:
    return hashlib.sha256(subject.encode()).digest()


def _not_theirs(subject: str, row: SubjectKey) -> DecryptionFailed:
    failure = DecryptionFailed(
        f"The key that the database names for {subject} was made for somebody else: the table of "
        "subject keys was changed. Restore it, then save again.",
        reason="not_authentic",
        place="subject keys",
        key_id=row.id.hex,
    )
    report(failure, target=subject)
    return failure


def _make(subject: str) -> SubjectKey:
    """Make a key; of two processes at once one wins, by the constraint, and both use its key."""
    row = SubjectKey(subject=subject, created_at=timezone.now())
    # The object is written before the row is: a row without its key could never be used, while an
    # object that no row names is only waste.
    _write(row.id.bytes, KeyMaterial(os.urandom(KEY_BYTES)), _owner(subject))
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
        return cached[1]
    # The mark stands beside the keys, not in the database: a restored dump knows of no erasure.
    if subject_storage().exists(_mark(key_uuid)):
        _cached.pop(key_uuid, None)
        return FoundKey(None, is_erased=True)
    found = _read(key_uuid) or FoundKey(None, is_erased=False)
    if found.material is not None:
        if len(_cached) >= MOST_CACHED:
            _cached.clear()
        _cached[key_uuid] = (now + settings.subject_key_cache_seconds, found)
    return found


def forget(key_uuid: bytes) -> None:
    """Drop a key from this process at once."""
    _cached.pop(key_uuid, None)


# --- the objects ----------------------------------------------------------------------------------
# <uuid>.<master key id>.key holds a wrapped key and whose it is; <uuid>.erased, that there was one.


def _write(key_uuid: bytes, material: KeyMaterial, owner: bytes) -> None:
    ring = keyring()
    cipher = ring.cipher(WRAPPING)
    wrapped = material.hand_to(lambda secret: cipher.seal(secret + owner, key_uuid))
    subject_storage().save(_name(key_uuid, ring.active.id), ContentFile(wrapped))


def _name(key_uuid: bytes, key_id: str) -> str:
    return f"{key_uuid.hex()}.{key_id}.key"


def _mark(key_uuid: bytes) -> str:
    return f"{key_uuid.hex()}.erased"


def _read(key_uuid: bytes) -> FoundKey | None:
    store, ring = subject_storage(), keyring()
    for key_id in ring.keys:
        try:
            with store.open(_name(key_uuid, key_id)) as stored:
                wrapped = stored.read(LONGEST_WRAPPED)
        except FileNotFoundError:
            continue
        opened = ring.cipher(WRAPPING).open(wrapped, key_uuid)
        material = KeyMaterial(opened[:KEY_BYTES])
        return FoundKey(material, is_erased=False, owner=opened[KEY_BYTES:])
    return None


def destroy(key_uuid: bytes, *, erased_at: datetime) -> None:
    """Delete every object of a key and leave a mark; it being gone already is as good."""
    store, mark = subject_storage(), _mark(key_uuid)
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
    return dict(Counter(key_id for _, key_id in _objects()))


def _objects() -> Iterator[tuple[bytes, str]]:
    """Return every wrapped key with the id of its master key; other files are not ours."""
    for name in subject_storage().listdir("")[1]:
        match = OBJECT.fullmatch(name)
        if match:
            yield bytes.fromhex(match[1]), match[2]


def rewrap() -> Tally:
    """Bring every wrapped key to the active master key.

    The new object is written before the old one is deleted, so a kill in between loses nothing.
    One that cannot be read stays, is counted, and is an event.
    """
    active, tally = keyring().active.id, Tally()
    for key_uuid, key_id in list(_objects()):
        if key_id == active:
            continue
        tally.seen += 1
        try:
            tally.rewritten += _rewrap(key_uuid, key_id)
        except DecryptionFailed as failure:
            tally.unreadable += 1
            report(failure, target=f"subject key:{key_uuid.hex()}")
    return tally


def _rewrap(key_uuid: bytes, key_id: str) -> bool:
    store, found = subject_storage(), _read(key_uuid)
    if found is None or found.material is None:
        return False  # wrapped under a key that is not in the ring; encryption_status names it
    new = _name(key_uuid, keyring().active.id)
    if not store.exists(new):
        _write(key_uuid, found.material, found.owner)
    store.delete(_name(key_uuid, key_id))
    if store.exists(_mark(key_uuid)):
        store.delete(new)  # erased meanwhile: what was read before must not outlive it
    return True
