"""What this database knows of the keys: since when, until when, and their fingerprints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from encryption.cipher import derived
from encryption.events import KEY_ADOPTED
from encryption.keyring import keyring
from encryption.models import KeyVersion, Rotation
from garrison import events

if TYPE_CHECKING:
    from datetime import datetime

    from encryption.keyring import EncryptionKeyring
    from garrison.keys import Key, Secret


def fingerprint(key: Key[Secret]) -> str:
    """Return 16 hex digits derived from a key for this alone; they show nothing of it."""
    return derived(key.value, "fingerprint", length=8).hex()


def adopt(*, now: datetime | None = None) -> list[KeyVersion]:
    """Write down the keys of the ring that are new here, and which one is active now.

    Run by ``migrate``, by every rotation and by the health check, so ages are known without asking
    the operator for dates. A key under a known id with another fingerprint is left as it is, for
    the check to find.
    """
    now = now or timezone.now()
    ring = keyring()
    with transaction.atomic():
        for key in ring.by_id.values():
            version, is_new = KeyVersion.objects.get_or_create(
                key_id=key.id,
                defaults={"fingerprint": fingerprint(key), "first_seen_at": now},
            )
            if is_new:
                events.emit(KEY_ADOPTED, target=f"key:{version.key_id}")
        KeyVersion.objects.filter(key_id=ring.active.id, activated_at=None).update(activated_at=now)
    return list(KeyVersion.objects.all())


def mismatched_ids(ring: EncryptionKeyring) -> list[str]:
    """Name the ids under which the ring holds another key than this database was written with."""
    known = dict(KeyVersion.objects.values_list("key_id", "fingerprint"))
    keys = ring.by_id.values()
    return [k.id for k in keys if k.id in known and known[k.id] != fingerprint(k)]


def in_use_between(key_id: str) -> tuple[datetime, datetime]:
    """Return the time in which values may have been under a key: too long rather than too short.

    It begins when the key was first seen, and ends when the last rotation to another one was
    finished, or now.
    """
    now = timezone.now()
    since = KeyVersion.objects.filter(pk=key_id).values_list("first_seen_at", flat=True).first()
    others = Rotation.objects.exclude(key_id=key_id)
    until = others.aggregate(at=Max("finished_at"))["at"]
    if until is None or others.filter(finished_at=None).exists():
        until = now
    return since or until, until
