"""What this database knows of the keys: since when, until when, and their fingerprints."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, transaction
from django.db.models import Max
from django.utils import timezone

from encryption.events import KEY_ADOPTED
from encryption.keyring import keyring
from encryption.models import KeyVersion, Rotation
from garrison import events

if TYPE_CHECKING:
    from datetime import datetime

    from encryption.keyring import Keyring


def adopt(*, now: datetime | None = None) -> list[KeyVersion]:
    """Write down the keys of the ring that are new here, and which one is active now.

    Run by ``migrate``, by every rotation and by the health check, so ages are known without asking
    the operator for dates. A key under a known id with another fingerprint is left as it is, for
    the check to find.
    """
    now = now or timezone.now()
    ring = keyring()
    with transaction.atomic():
        for key in ring.keys.values():
            version, is_new = KeyVersion.objects.get_or_create(
                key_id=key.id,
                defaults={"fingerprint": key.material.fingerprint(), "first_seen_at": now},
            )
            if is_new:
                events.emit(KEY_ADOPTED, target=f"key:{version.key_id}")
        KeyVersion.objects.filter(key_id=ring.active.id, activated_at=None).update(activated_at=now)
    return list(KeyVersion.objects.all())


def impostors(ring: Keyring) -> list[str]:
    """Name the ids under which the ring holds another key than this database was written with."""
    known = dict(KeyVersion.objects.values_list("key_id", "fingerprint"))
    return [
        key.id
        for key in ring.keys.values()
        if known.get(key.id, key.material.fingerprint()) != key.material.fingerprint()
    ]


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


SECONDS_REMEMBERED = 10
_retired: tuple[float, dict[str, datetime]] = (0.0, {})


def retired_on(key_id: str) -> datetime | None:
    """Report when a key was retired, for the sentence of a failed read; never raises.

    Remembered for a few seconds, so that damaged key ids cannot be turned into a flood of queries.
    """
    global _retired  # noqa: PLW0603 - one memory per process is the point
    until, known = _retired
    if until < time.monotonic():
        known = _read_retired()
        _retired = (time.monotonic() + SECONDS_REMEMBERED, known)
    return known.get(key_id)


def forget_retired() -> None:
    """Ask the database again at the next failure."""
    global _retired  # noqa: PLW0603
    _retired = (0.0, {})


def _read_retired() -> dict[str, datetime]:
    try:
        with transaction.atomic():
            rows: Any = KeyVersion.objects.filter(retired_at__isnull=False)
            return dict(rows.values_list("key_id", "retired_at"))
    except (DatabaseError, RuntimeError, SynchronousOnlyOperation):
        # No table, no connection, a broken transaction, an event loop: the sentence goes without.
        return {}
