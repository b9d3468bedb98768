"""Per-subject keys, so that a person's values can be made unreadable everywhere at once.

A field with ``subject="owner"`` is encrypted under the key of the owner. That key is thirty-two
random bytes, wrapped under the active master key and kept as one small object in the storage that
``ENCRYPTION_SUBJECT_KEYS_STORAGE`` names: outside of the database, so that no dump of it and no
backup of it holds one. Erasing deletes the object; what was encrypted under it is then noise, in
the live rows, in every replica and in every backup alike.

Wrapped with a key is whose it is. Whoever may write the database and gives one person's key to
another would make an erasure miss; such a key is refused when the next value is written. The
functions take the keyring as an argument, since it calls them for envelopes under people's keys.

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
from encryption.failures import Tally, report, rewrap_each
from encryption.models import SubjectKey
from garrison.keys import KEY_BYTES, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from django.core.files.storage import Storage

    from encryption.keyring import EncryptionKeyring

WRAPPING = "encryption.subject_keys"  # the label wrapped keys are bound to
LONGEST_WRAPPED = 256  # bytes
OBJECT = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9._-]{1,12})\.key")
MOST_CACHED = 10_000


@dataclass(frozen=True, slots=True)
class SubjectKeyState:
    """What is known of a key id: the key and whose it is, or that it was erased, or neither."""

    key: Secret | None = None
    owner: bytes = b""
    is_erased: bool = False

    def is_of(self, subject: str) -> bool:
        """Return whether the key was made for that person."""
        return hmac.compare_digest(self.owner, _owner(subject))


def subject_storage() -> Storage:
    """Return the storage of subject keys; raises KeyringUnusable where settings name none."""
    try:
        return storages[settings.subject_keys_storage]
    except InvalidStorageError:
        raise KeyringUnusable(
            f"STORAGES has no {settings.subject_keys_storage!r}, where the keys of people would "
            "live. Add it, on a place that no backup reads, or name another one in "
            "ENCRYPTION_SUBJECT_KEYS_STORAGE."
        ) from None


# --- using keys -----------------------------------------------------------------------------------


def key_for(ring: EncryptionKeyring, subject: str) -> tuple[Secret, bytes]:
    """Return the subject's key and its UUID; the first value of a person makes one.

    A subject that was erased and comes back gets a new key: the old values stay unreadable. Raises
    DecryptionFailed for a key that was made for somebody else.
    """
    row = SubjectKey.objects.filter(subject=subject, erased_at=None).first() or _make(ring, subject)
    found = find_key(ring, row.id.bytes)
    if found.is_erased:
        # The row came back with a restored database; the erasure stands.
        SubjectKey.objects.filter(pk=row.pk).update(erased_at=timezone.now())
        row = _make(ring, subject)
        found = find_key(ring, row.id.bytes)
    if found.key is None:
        raise KeyringUnusable(
            f"The key of {subject} is not in the storage that ENCRYPTION_SUBJECT_KEYS_STORAGE "
            "names. Mount or restore that storage."
        )
    if not found.is_of(subject):
        raise _not_theirs(subject, row)
    return found.key, row.id.bytes


def is_theirs(ring: EncryptionKeyring, key_uuid: bytes, subject: str) -> bool:
    """Return whether a key may be destroyed as this person's: not if it was made for somebody else.

    One that is gone already, or cannot be read, proves nothing, and may.
    """
    try:
        found = find_key(ring, key_uuid)
    except DecryptionFailed:
        return True
    return found.key is None or found.is_of(subject)


def keys_made_for(ring: EncryptionKeyring, subject: str) -> Iterator[UUID]:
    """Open every key in the storage, and return those made for one person."""
    for key_uuid in dict.fromkeys(key_uuid for key_uuid, _ in _objects()):
        try:
            found = _read(ring, key_uuid)
        except DecryptionFailed:
            continue
        if found.is_of(subject):
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


def _make(ring: EncryptionKeyring, subject: str) -> SubjectKey:
    """Make a key; of two processes at once one wins, by the constraint, and both use its key."""
    row = SubjectKey(subject=subject, created_at=timezone.now())
    # The object is written before the row is: a row without its key could never be used, while an
    # object that no row names is only waste.
    _write(ring, row.id.bytes, Secret(os.urandom(KEY_BYTES)), _owner(subject))
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        subject_storage().delete(_name(row.id.bytes, ring.active.id))
        return SubjectKey.objects.get(subject=subject, erased_at=None)
    return row


def find_key(ring: EncryptionKeyring, key_uuid: bytes) -> SubjectKeyState:
    """Find a key by the id that an envelope carries; the keyring caches it for a few seconds."""
    now, cache = time.monotonic(), ring.subject_keys
    cached = cache.get(key_uuid)
    if cached is not None and cached[0] > now:
        return cached[1]
    # The mark stands beside the keys, not in the database: a restored dump knows of no erasure.
    if subject_storage().exists(_mark(key_uuid)):
        cache.pop(key_uuid, None)
        return SubjectKeyState(is_erased=True)
    found = _read(ring, key_uuid)
    if found.key is not None:
        if len(cache) >= MOST_CACHED:
            cache.clear()
        cache[key_uuid] = (now + settings.subject_key_cache_seconds, found)
    return found


# --- the objects ----------------------------------------------------------------------------------
# <uuid>.<master key id>.key holds a wrapped key and whose it is; <uuid>.erased, that there was one.


def _write(ring: EncryptionKeyring, key_uuid: bytes, key: Secret, owner: bytes) -> None:
    wrapped = ring.cipher(WRAPPING).seal(key.reveal() + owner, key_uuid)
    subject_storage().save(_name(key_uuid, ring.active.id), ContentFile(wrapped))


def _name(key_uuid: bytes, key_id: str) -> str:
    return f"{key_uuid.hex()}.{key_id}.key"


def _mark(key_uuid: bytes) -> str:
    return f"{key_uuid.hex()}.erased"


def _read(ring: EncryptionKeyring, key_uuid: bytes) -> SubjectKeyState:
    store = subject_storage()
    for key_id in ring.by_id:
        try:
            with store.open(_name(key_uuid, key_id)) as stored:
                wrapped = stored.read(LONGEST_WRAPPED)
        except FileNotFoundError:
            continue
        opened = ring.cipher(WRAPPING).open(wrapped, key_uuid)
        return SubjectKeyState(Secret(opened[:KEY_BYTES]), opened[KEY_BYTES:])
    return SubjectKeyState()


def destroy(ring: EncryptionKeyring, key_uuid: bytes, *, erased_at: datetime) -> None:
    """Delete every object of a key and leave a mark; it being gone already is as good."""
    store, mark = subject_storage(), _mark(key_uuid)
    if not store.exists(mark):
        store.save(mark, ContentFile(erased_at.isoformat().encode()))
    for name in store.listdir("")[1]:
        if name.startswith(key_uuid.hex()) and name.endswith(".key"):
            store.delete(name)
    ring.subject_keys.pop(key_uuid, None)


def wrapped_under() -> Counter[str]:
    """Count the subject keys by the master key they are wrapped under."""
    objects = _objects() if SubjectKey.objects.exists() else ()
    return Counter(key_id for _, key_id in objects)


def _objects() -> Iterator[tuple[bytes, str]]:
    """Return every wrapped key with the id of its master key; other files are not ours."""
    for name in subject_storage().listdir("")[1]:
        match = OBJECT.fullmatch(name)
        if match:
            yield bytes.fromhex(match[1]), match[2]


def rewrap(ring: EncryptionKeyring) -> Tally:
    """Bring every wrapped key to the active master key.

    The new object is written before the old one is deleted, so a kill in between loses nothing.
    """
    if not SubjectKey.objects.exists():
        return Tally()  # a site without subjects needs no storage for their keys
    return rewrap_each(
        list(_objects()),
        lambda item: _rewrap(ring, *item),
        target=lambda item: f"subject key:{item[0].hex()}",
    )


def _rewrap(ring: EncryptionKeyring, key_uuid: bytes, key_id: str) -> bool | None:
    if key_id == ring.active.id:
        return None
    store, found = subject_storage(), _read(ring, key_uuid)
    if found.key is None:
        return False  # wrapped under a key that is not in the ring; encryption_status names it
    new = _name(key_uuid, ring.active.id)
    if not store.exists(new):
        _write(ring, key_uuid, found.key, found.owner)
    store.delete(_name(key_uuid, key_id))
    if store.exists(_mark(key_uuid)):
        store.delete(new)  # erased meanwhile: what was read before must not outlive it
    return True
