"""Values that are a person's by their row, and under another key: brought under that person's own.

The ORM takes values along to a row's new owner; SQL of a site's own does not, and neither did
earlier releases. An erasure must not miss them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import router, transaction

from encryption.errors import DecryptionFailed
from encryption.fields.together import kind_of, subject_field
from encryption.querysets import EncryptedQuerySet
from encryption.rotation import all_fields

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    for column, value in _columns(subject):
        using = router.db_for_write(column.model)
        rows: Any = EncryptedQuerySet(column.model, using=using).filter(**{column.attname: value})
        try:
            with transaction.atomic(using=using):
                rows.update(**{column.attname: value})
        except DecryptionFailed:
            for key in list(rows.values_list("pk", flat=True)):
                with suppress(DecryptionFailed), transaction.atomic(using=using):
                    rows.filter(pk=key).update(**{column.attname: value})


def _columns(subject: str) -> Iterator[tuple[Any, Any]]:
    """Return each column that may name the person, with the value that does."""
    kind, _, written = subject.partition(":")
    columns = {subject_field(field) for field in all_fields() if field.subject}
    for column in filter(None, columns):
        related: Any = column.related_model
        if kind == (kind_of(related) if related else column.name):
            with suppress(ValidationError):  # no key of that model
                yield column, column.to_python(written)
