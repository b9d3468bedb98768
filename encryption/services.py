"""The verbs of encryption: rotate, retire, import, erase, reveal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import router, transaction
from django.utils import timezone

from encryption import key_users, key_versions, shredding, strays
from encryption.batches import ROWS_PER_BATCH
from encryption.errors import KeyInUse, RevealRefused, SubjectUnknown
from encryption.events import (
    COLUMN_IMPORTED,
    KEY_RETIRED,
    RETIREMENT_REFUSED,
    REVEAL_REFUSED,
    ROTATION_FINISHED,
    SUBJECT_ERASED,
    VALUE_REVEALED,
)
from encryption.failures import Tally
from encryption.importing import FromDjangoCryptography
from encryption.keyring import keyring
from encryption.models import KeyVersion, Rotation, SubjectKey
from encryption.rotation import RotationPass, ToActiveKey, all_fields, rows_per_key
from encryption.storage import encrypted_storages
from garrison import events, field_policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from django.db.models import Model

    from encryption.fields import Encrypted
    from garrison.events import EventKind

REVEAL = "encryption.reveal_values"
FILES = "(files)"  # where a rotation names a field


# --- rotation -------------------------------------------------------------------------------------


def rotate_field(
    *,
    field: Encrypted[Any, Any],
    rows_per_batch: int = ROWS_PER_BATCH,
    on_batch: Callable[[Tally], None] = lambda _tally: None,
    clock: Callable[[], datetime] = timezone.now,
) -> Tally:
    """Bring every value of a field to the active key; goes on where a killed run stopped.

    Values that cannot be read stay as they are, are counted, and are an event each.
    """
    using = router.db_for_write(field.model)
    progress = _progress(field.label, using, clock())
    rotate = RotationPass(field, ToActiveKey(), using, rows_per_batch, on_batch)
    tally = rotate(progress, clock=clock)
    if not tally.unreadable:
        data = {"key_id": progress.key_id, "rotated": progress.rotated}
        _finish(progress, ROTATION_FINISHED, f"field:{field.label}", data, now=clock())
    return tally


def import_field(  # noqa: PLR0913 - the command's options
    *,
    field: Encrypted[Any, Any],
    key: bytes | None = None,
    rows_per_batch: int = ROWS_PER_BATCH,
    is_dry_run: bool = False,
    on_batch: Callable[[Tally], None] = lambda _tally: None,
    clock: Callable[[], datetime] = timezone.now,
) -> tuple[int, Tally]:
    """Encrypt anew what django-cryptography wrote; return how many were due, and the tally."""
    using = router.db_for_write(field.model)
    take_over = RotationPass(
        field, FromDjangoCryptography(key=key), using, rows_per_batch, on_batch
    )
    due = take_over.due().count()
    if is_dry_run or not due:
        return due, Tally()
    progress = _progress(f"{field.label} (import)"[:200], using, clock())
    tally = take_over(progress, clock=clock)
    data = {"imported": tally.rewritten, "unreadable": tally.unreadable}
    _finish(progress, COLUMN_IMPORTED, f"field:{field.label}", data, now=clock())
    return due, tally


def _progress(label: str, using: str, now: datetime) -> Rotation:
    """Return the unfinished pass to the active key, or start one."""
    active = keyring().active.id
    rotations = Rotation.objects.using(using)
    fresh = {"key_id": active, "started_at": now, "updated_at": now}
    found, is_new = rotations.get_or_create(label=label, defaults=fresh)
    if is_new or (found.key_id == active and found.finished_at is None):
        return found
    return rotations.update_or_create(
        label=label, defaults={**fresh, "cursor": "", "rotated": 0, "finished_at": None}
    )[0]


def _finish(
    progress: Rotation, kind: EventKind, target: str, data: dict[str, Any], *, now: datetime
) -> None:
    using = progress._state.db
    with transaction.atomic(using=using):
        progress.cursor, progress.finished_at, progress.updated_at = "", now, now
        progress.save(using=using, update_fields=["cursor", "finished_at", "updated_at"])
        events.emit(kind, target=target, data=data, now=now)


def rotate_files() -> Tally:
    """Wrap the keys of every encrypted file anew.

    Once none is under an older key, that is written down; kept backups are judged by it.
    """
    total, now = Tally(), timezone.now()
    for store in encrypted_storages().values():
        total.add(store.rotate())
    finished = {"key_id": keyring().active.id, "updated_at": now, "finished_at": now}
    known = Rotation.objects.filter(label=FILES, key_id=finished["key_id"])
    if not total.unreadable and not known.exists():
        Rotation.objects.update_or_create(label=FILES, defaults={**finished, "started_at": now})
    return total


def status() -> list[dict[str, Any]]:
    """Return, for each field, how many values each key holds, the oldest key, and progress."""
    active = keyring().active.id
    ages = {version.key_id: version.first_seen_at for version in key_versions.adopt()}
    return [_status_of(field, active, ages) for field in all_fields()]


def _status_of(
    field: Encrypted[Any, Any], active: str, ages: dict[str, datetime]
) -> dict[str, Any]:
    using = router.db_for_write(field.model)
    rows = rows_per_key(field, using=using)
    ours = [key for key in rows if not key.startswith("(")]
    return {
        "field": field.place,
        "rows": rows,
        "due": sum(rows[key] for key in ours if key != active),
        "oldest_key": min(ours, key=lambda key: ages.get(key, timezone.now()), default=""),
        "rotation": Rotation.objects.using(using).filter(label=field.label).values().first(),
    }


def retire_key(*, key_id: str, actor: Any = None, now: datetime | None = None) -> KeyVersion:
    """Declare that nothing needs a key any more, after looking everywhere.

    Raises :class:`~encryption.errors.KeyInUse` for the active key, and while rows, blind indexes,
    subject keys, files or anything registered in :mod:`encryption.key_users` needs it.
    """
    now = now or timezone.now()
    key_versions.adopt(now=now)
    ring = keyring()
    ring.key(key_id)
    needs = key_users.reasons(key_id)
    if key_id == ring.active.id:
        needs.insert(0, "it is the active key; put another one first in ENCRYPTION_KEYS.")
    if needs:
        events.emit(
            RETIREMENT_REFUSED, actor=actor, target=f"key:{key_id}", data={"needs": needs}, now=now
        )
        raise KeyInUse(f"Key {key_id!r} cannot be retired: {' '.join(needs)}")
    with transaction.atomic():
        version = KeyVersion.objects.select_for_update().get(key_id=key_id)
        version.retired_at = version.retired_at or now
        version.save(update_fields=["retired_at"])
        events.emit(KEY_RETIRED, actor=actor, target=f"key:{key_id}", now=now)
    return version


# --- people ---------------------------------------------------------------------------------------


def erase_subject(
    *, subject: str, is_sweep: bool = False, actor: Any = None, now: datetime | None = None
) -> int:
    """Destroy a person's keys; every value under them is unreadable from then on, in backups too.

    Returns how many keys were destroyed. Running it again after a restore destroys again. Other
    processes may use a key for ``ENCRYPTION_SUBJECT_KEY_CACHE_SECONDS`` more. A key that the
    database names and that was made for somebody else is left alone; ``is_sweep`` looks for keys
    of this person that the database does not name. Values in the person's rows that are under
    somebody else's key, or the site's, are brought under the person's first; and values under the
    person's key in rows that are somebody else's by now, under theirs.
    """
    now, ring = now or timezone.now(), keyring()
    with transaction.atomic():
        subject, *_ = names = strays.names_of(subject)
        strays.bring_home(subject)
        named = SubjectKey.objects.select_for_update().filter(subject__in=names)
        keys = {key.id for key in named if shredding.is_theirs(ring, key.id.bytes, key.subject)}
        for name in names if is_sweep else ():
            keys |= set(shredding.keys_made_for(ring, name))
        if not keys:
            raise SubjectUnknown(f"There is no key of {subject!r}; nothing was encrypted for it.")
        strays.release(subject, keys)
        for key in keys:
            shredding.destroy(ring, key.bytes, erased_at=now)
        SubjectKey.objects.filter(pk__in=keys, erased_at=None).update(erased_at=now)
        events.emit(SUBJECT_ERASED, actor=actor, target=subject, data={"keys": len(keys)}, now=now)
    return len(keys)


# --- looking --------------------------------------------------------------------------------------


def may_reveal(*, user: Any, model: type[Model], name: str) -> bool:
    """Return whether a user may see a model's encrypted field in clear.

    Both must allow it: the permission ``encryption.reveal_values``, and the field policy.
    """
    visible = field_policy.policy().visible_fields(user, model)
    return bool(user.has_perm(REVEAL)) and name in visible


def reveal(*, user: Any, instance: Model, name: str) -> Any:
    """Return a value in clear to somebody who may see it, and emit that; refuse anybody else."""
    target = f"{instance._meta.label_lower}:{instance.pk}"
    if not may_reveal(user=user, model=type(instance), name=name):
        events.emit(REVEAL_REFUSED, actor=user, target=target, data={"field": name})
        raise RevealRefused(
            f"You need the permission {REVEAL} and sight of the field {name!r} to see it in clear."
        )
    value = getattr(instance, name)
    with transaction.atomic():
        events.emit(VALUE_REVEALED, actor=user, target=target, data={"field": name})
    return value
