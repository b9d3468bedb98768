"""What still needs a key: rows, blind indexes, people's keys, files; and whatever registers itself.

A key may be retired only when nothing does. Nothing here knows which backups are kept:
``ENCRYPTION_KEPT_BACKUPS`` names who does. Other apps register a function in their ``ready()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from django.db import router
from django.utils.module_loading import import_string

from encryption import key_versions, rotation, shredding
from encryption.blind_index import all_indexes
from encryption.conf import settings
from encryption.storage import encrypted_storages
from garrison.registry import Registry

if TYPE_CHECKING:
    from datetime import datetime

KeyUser: TypeAlias = Callable[[str], Iterable[str]]
"""Takes the id of a key, and returns a sentence for each reason why it is still needed."""

users: Registry[KeyUser] = Registry("user of encryption keys")


def register(name: str) -> Callable[[KeyUser], KeyUser]:
    """Add a user of keys under a name; a decorator."""
    return lambda user: users.add(name, user)


def reasons(key_id: str) -> list[str]:
    """Return every reason why the key is needed; a user that fails counts as needing it."""
    found: list[str] = []
    for name, user in users.items():
        try:
            found += user(key_id)
        except Exception as failure:  # noqa: BLE001 - not knowing is not the same as not needing
            kind = type(failure).__name__
            found.append(f"{name} could not be examined ({kind}), so they may need it.")
    return found


@register("fields")
def _fields(key_id: str) -> Iterable[str]:
    for field in rotation.all_fields():
        counts = rotation.rows_per_key(field, using=router.db_for_write(field.model))
        if count := counts.get(key_id, 0):
            yield f"{count} values of {field.place}; run `manage.py encryption_rotate`."


@register("blind indexes")
def _blind_indexes(key_id: str) -> Iterable[str]:
    for index in all_indexes():
        if index.key_id() == key_id:
            place = f"{index.model._meta.label}.{index.name}"
            yield f"{place} derives its key from it; add a second index under the new key."


@register("subject keys")
def _subject_keys(key_id: str) -> Iterable[str]:
    if count := shredding.wrapped_under()[key_id]:
        yield f"{count} subject keys are wrapped under it; run `manage.py encryption_rotate`."


@register("files")
def _files(key_id: str) -> Iterable[str]:
    for alias, store in encrypted_storages().items():
        if count := sum(store.key_id(name) == key_id for name in store.names()):
            yield f"{count} files in STORAGES[{alias!r}]; run `manage.py encryption_rotate`."


@register("kept backups")
def _kept_backups(key_id: str) -> Iterable[str]:
    """Count the kept backups of the time in which values, or files, were under the key."""
    moments: Iterable[datetime] = (
        import_string(settings.kept_backups)() if settings.kept_backups else ()
    )
    since, until = key_versions.in_use_between(key_id)
    if count := sum(since <= moment <= until for moment in moments):
        yield (
            f"{count} kept backups, of {since:%Y-%m-%d} to {until:%Y-%m-%d}, hold values under it; "
            "keep the key until they have ended."
        )
