"""Values that are a person's by their row, and under another key: brought under that person's own.

The ORM takes values along to a row's new owner; SQL of a site's own does not, and neither did
earlier releases. An erasure must neither miss them nor destroy what is somebody else's by now.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.db.models import BinaryField
from django.db.models.functions import Substr

from encryption.cipher import SUBJECT_HEADER_BYTES, SUBJECT_VERSION
from encryption.errors import DecryptionFailed
from encryption.fields.together import kind_of, name_of, subject_field
from encryption.keyring import keyring
from encryption.querysets import EncryptedQuerySet
from encryption.rotation import Ciphertext, all_fields
from encryption.shredding import key_for

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from django.db.models import Model


def names_of(subject: str) -> list[str]:
    """Return a person's name, and those that earlier releases made keys for: of proxies, children.

    Either may be given; the first one returned is what new keys are made for.
    """
    kind, _, key = subject.partition(":")
    kinds = {model._meta.label_lower: kind_of(model) for model in apps.get_models()}
    topmost = kinds.get(kind, kind)
    others = [name for name, above in kinds.items() if above == topmost != name]
    return [f"{name}:{key}" for name in (topmost, *others)]


def bring_home(subject: str) -> None:
    """Encrypt every value in a person's rows under that person's key, where it is not yet.

    One that cannot be read stays as it is: it was an event when it was tried.
    """
    columns = {subject_field(field) for field in all_fields() if field.subject}
    for column in filter(None, columns):
        value = _value_naming(subject, column)
        if value is not None:
            _encrypt_for(column, value, _rows(column.model).filter(**{column.attname: value}))


def release(subject: str, keys: Iterable[UUID]) -> None:
    """Encrypt what is under a person's keys in rows of others under the keys of those others.

    In rows of nobody it stays: it is the last owner's. Raises DecryptionFailed or KeyringUnusable
    where the key of one of those others cannot be used.
    """
    heads = [SUBJECT_VERSION + key.bytes for key in keys]
    for field in all_fields():
        column = subject_field(field) if field.subject else None
        if column is None:
            continue
        head = Substr(Ciphertext(field.name), 1, SUBJECT_HEADER_BYTES, output_field=BinaryField())
        under = _rows(field.model).annotate(envelope_head=head).filter(envelope_head__in=heads)
        owners = under.exclude(**{column.attname: None}).order_by().distinct()
        for value in list(owners.values_list(column.attname, flat=True)):
            if (owner := name_of(column, value)) != subject:
                key_for(keyring(), owner)  # raises where there would be nothing to encrypt under
                _encrypt_for(column, value, under.filter(**{column.attname: value}))


def _rows(model: type[Model]) -> Any:
    return EncryptedQuerySet(model, using=router.db_for_write(model))


def _encrypt_for(column: Any, value: Any, rows: Any) -> None:
    """Encrypt what rows hold for the person that a value of their column names."""
    try:
        with transaction.atomic(using=rows.db):
            rows.update(**{column.attname: value})
    except DecryptionFailed:
        for key in list(rows.values_list("pk", flat=True)):
            with suppress(DecryptionFailed), transaction.atomic(using=rows.db):
                rows.filter(pk=key).update(**{column.attname: value})


def _value_naming(subject: str, column: Any) -> Any:
    """Return the value by which a column names a person; ``None`` where it can name none such."""
    kind, _, written = subject.partition(":")
    if name_of(column, "") == f"{kind}:":
        with suppress(ValidationError):  # no key of that model
            return column.to_python(written)
    return None
