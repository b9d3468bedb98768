"""What is wrong with the keys, found before they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.db import DatabaseError

from encryption.blind_index import BlindIndex, all_indexes
from encryption.conf import settings
from encryption.errors import KeyringUnusable, KeyUnknown
from encryption.fields import Encrypted, encrypted_fields
from encryption.key_versions import mismatched_ids
from encryption.keyring import keyring
from encryption.keyring.entries import PASSPHRASE
from encryption.models import KeyVersion
from encryption.rotation import all_fields
from encryption.shredding import subject_storage

if TYPE_CHECKING:
    from collections.abc import Iterator

E001 = "encryption.E001"  # missing, malformed, short, doubled or default keys
W002 = "encryption.W002"  # a passphrase where random bytes would be better
E003 = "encryption.E003"  # blind indexes, and nothing names their key
E004 = "encryption.E004"  # a blind index of nothing
E005 = "encryption.E005"  # another key under a known id
W006 = "encryption.W006"  # a retired key that is still configured
E007 = "encryption.E007"  # subjects, and no storage for their keys
W008 = "encryption.W008"  # the admin shows values in clear


def check_keys(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Read the keys as the first use would."""
    try:
        keyring()
    except KeyringUnusable as problem:
        hint = "Run `manage.py generate_keys` and put ENCRYPTION_KEY into the environment."
        return [Error(str(problem), hint=hint, id=E001)]
    return []


def check_passphrase(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Advise against a passphrase: what people can remember, machines can guess."""
    entries = [entry for entry in settings.keys if isinstance(entry, str)]
    if not any(entry.split(":")[:2].count(PASSPHRASE) for entry in entries):
        return []
    return [
        Warning(
            "An encryption key is made from a passphrase.",
            hint="Add a key of random bytes before it (`manage.py generate_keys`), then run "
            "`manage.py encryption_rotate`.",
            id=W002,
        )
    ]


def check_blind_indexes(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Find indexes whose source or key is not there."""
    return [message for index in all_indexes() for message in _one_index(index)]


def _one_index(index: BlindIndex) -> Iterator[CheckMessage]:
    options = index.model._meta
    names = {f.name: f for f in options.local_concrete_fields}  # of the same row
    if not isinstance(names.get(index.source), Encrypted):
        yield Error(
            f"{index.source!r} is no encrypted field of {options.label}.",
            hint="Name the Encrypted field that the index stands for.",
            obj=index,
            id=E004,
        )
    try:
        keyring().key(index.key_id())
    except (KeyUnknown, KeyringUnusable) as problem:
        hint = "Set ENCRYPTION_INDEX_KEY, or the index's own key=, to an id of ENCRYPTION_KEYS."
        yield Error(str(problem), hint=hint, obj=index, id=E003)


def check_subjects(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Find fields of people whose keys would have no place."""
    if not any(field.subject for field in all_fields()):
        return []
    try:
        subject_storage()
    except KeyringUnusable as problem:
        hint = "Add the alias to STORAGES; see docs/encryption.md, Erasing a person."
        return [Error(str(problem), hint=hint, id=E007)]
    return []


def check_admin(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Find admin classes that would show encrypted values to every viewer."""
    if not apps.is_installed("django.contrib.admin"):
        return []
    from django.contrib import admin

    from encryption.admin import MaskedFieldsMixin

    return [
        Warning(
            f"{type(model_admin).__name__} shows the encrypted fields of {model._meta.label} in "
            "clear to everybody who may view the model.",
            hint="Put MaskedFieldsMixin (encryption.admin) first among its bases.",
            id=W008,
        )
        for model in apps.get_models()
        if encrypted_fields(model) and admin.site.is_registered(model)
        if not isinstance(model_admin := admin.site.get_model_admin(model), MaskedFieldsMixin)
    ]


def check_versions(
    app_configs: Any,  # noqa: ARG001
    databases: Any = None,
    **_: Any,
) -> list[CheckMessage]:
    """Compare the keys with what the database was written with (``check --database default``)."""
    if "default" not in (databases or ()):
        return []
    try:
        ring = keyring()
        wrong = mismatched_ids(ring)
        retired = KeyVersion.objects.filter(retired_at__isnull=False, key_id__in=ring.by_id)
        configured = list(retired.values_list("key_id", flat=True))
    except (DatabaseError, KeyringUnusable):  # not migrated yet; or reported by E001
        return []
    found: list[CheckMessage] = []
    for key_id in wrong:
        message = f"Encryption key {key_id!r} is not the key that this database was written with."
        hint = "Put the right key under that id, or give the new key an id of its own."
        found.append(Error(message, hint=hint, id=E005))
    for key_id in configured:
        message = f"Encryption key {key_id!r} is retired and still configured."
        found.append(Warning(message, hint="Remove it from ENCRYPTION_KEYS.", id=W006))
    return found
