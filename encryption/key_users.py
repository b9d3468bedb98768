"""Who still needs a key: rows, blind indexes, people's keys, files; and whatever registers itself.

A key may be retired only when nobody does. Nothing here knows which backups are kept:
``ENCRYPTION_KEPT_BACKUPS`` names who does. Other apps register a function in their ``ready()``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from django.db import router
from django.utils.module_loading import import_string

from encryption import key_versions, rotation, shredding
from encryption.blind_index import all_indexes
from encryption.conf import settings
from encryption.keyring import keyring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Use:
    """One reason why a key is needed: how many things need it, and a sentence for the operator."""

    user: str
    count: int
    detail: str


class KeyUser(Protocol):
    """A function that tells what it still needs a key for; an empty list where it does not."""

    def __call__(self, key_id: str) -> list[Use]:
        """Look, and tell."""


_users: dict[str, KeyUser] = {}


def register(name: str) -> Callable[[KeyUser], KeyUser]:
    """Add a user of keys under a name; a decorator."""

    def add(user: KeyUser) -> KeyUser:
        _users[name] = user
        return user

    return add


def uses(key_id: str) -> list[Use]:
    """Everything that needs the key; one that cannot be asked counts as needing it."""
    found: list[Use] = []
    for name, user in sorted(_users.items()):
        try:
            found += user(key_id)
        except Exception as failure:  # noqa: BLE001 - not knowing is not the same as not needing
            kind = type(failure).__name__
            found.append(Use(name, 1, f"{name} could not be asked ({kind}), so it may need it."))
    return found


@register("fields")
def _fields(key_id: str) -> list[Use]:
    found = []
    for field in rotation.all_fields():
        using = router.db_for_write(field.model)
        count = rotation.rows_per_key(field, using=using).get(key_id, 0)
        if count:
            detail = f"{count} values of {field.place}; run `manage.py encryption_rotate`."
            found.append(Use(field.place, count, detail))
    return found


@register("blind indexes")
def _blind_indexes(key_id: str) -> list[Use]:
    ring, found = keyring(), []
    for index in all_indexes():
        if index.key_id(ring) == key_id:
            place = f"{index.model._meta.label}.{index.name}"
            detail = f"{place} derives its key from it; add a second index under the new key."
            found.append(Use(place, 1, detail))
    return found


@register("subject keys")
def _subject_keys(key_id: str) -> list[Use]:
    count = shredding.wrapped_under().get(key_id, 0)
    detail = f"{count} subject keys are wrapped under it; run `manage.py encryption_rotate`."
    return [Use("subject keys", count, detail)] if count else []


@register("files")
def _files(key_id: str) -> list[Use]:
    from encryption.storage import encrypted_storages

    found = []
    for alias, store in encrypted_storages().items():
        count = sum(1 for name in store.names() if store.key_id(name) == key_id)
        if count:
            detail = f"{count} files in STORAGES[{alias!r}]; run `manage.py encryption_rotate`."
            found.append(Use(f"files of {alias}", count, detail))
    return found


@register("kept backups")
def _kept_backups(key_id: str) -> list[Use]:
    """Count the kept backups of the time in which values, or files, were under the key."""
    if not settings.kept_backups:
        return []
    moments: Iterable[datetime] = import_string(settings.kept_backups)()
    since, until = key_versions.in_use_between(key_id)
    count = sum(since <= moment <= until for moment in moments)
    detail = (
        f"{count} kept backups, of {since:%Y-%m-%d} to {until:%Y-%m-%d}, hold values under it; "
        "keep the key until they have ended."
    )
    return [Use("kept backups", count, detail)] if count else []
