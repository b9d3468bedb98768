"""What system checks find wrong with an encrypted field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core import checks
from django.db import models

from encryption.fields.kinds import unwrappable
from encryption.fields.rows import identity_field
from encryption.fields.together import subject_field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from encryption.fields.encrypted import Encrypted

E010 = "encryption.E010"  # no UUID primary key and no row salt
E011 = "encryption.E011"  # a kind of field that cannot be wrapped
E012 = "encryption.E012"  # unique, indexed or a key
E013 = "encryption.E013"  # a default that the database makes
E014 = "encryption.E014"  # the subject names no column of the same table
W015 = "encryption.W015"  # a manager without update()

# Errors of the wrapped field that speak of its column, which does not exist.
COLUMN_ERRORS = ("fields.E150", "fields.W346")


def run(field: Encrypted[Any, Any], **options: Any) -> Iterator[checks.CheckMessage]:
    """Return every message about one field."""
    if problem := unwrappable(field.base):
        yield _error(field, problem, "Encrypt its parts, or use EncryptedStorage for files.", E011)
        return
    for message in field.base.check(**options):
        if message.id not in COLUMN_ERRORS:
            message.obj = field
            yield message
    if identity_field(field.model) is None and not field.model._meta.abstract:
        hint = "Add `row_salt = RowSalt()` (encryption.fields), or use a UUID primary key."
        yield _error(field, "An encrypted field has no row identity to be bound to.", hint, E010)
    base: Any = field.base
    if base.unique or base.db_index or base.primary_key or field.name in _named(field.model):
        hint = f"Use BlindIndex({field.name!r}, unique=True) beside it."
        yield _error(field, "An encrypted column cannot be unique, indexed or a key.", hint, E012)
    if field.base.db_default is not models.NOT_PROVIDED:
        hint = "Use `default`; the database has no key to encrypt with."
        yield _error(field, "An encrypted field cannot have a db_default.", hint, E013)
    if field.subject and not field.model._meta.abstract and subject_field(field) is None:
        problem = f"subject={field.subject!r} is no plain column of the table of {field.name!r}."
        hint = "Name the foreign key, or the field, of the same model that tells whose value it is."
        yield _error(field, problem, hint, E014)
    yield from _manager(field)


def _named(model: type[models.Model]) -> set[str]:
    """Return the fields that constraints and indexes of the model name; they would see noise."""
    options: Any = model._meta
    groups = [getattr(one, "fields", ()) for one in (*options.constraints, *options.indexes)]
    return {name.lstrip("-") for group in (*groups, *options.unique_together) for name in group}


def _manager(field: Encrypted[Any, Any]) -> Iterator[checks.CheckMessage]:
    model = field.model
    manager = model._meta.default_manager
    if manager is None or model._meta.abstract or model._meta.swapped:
        return
    if not getattr(manager.get_queryset(), "seals_values", False):  # as EncryptedQuerySet does
        yield checks.Warning(
            f"{model._meta.label} has encrypted fields, and a manager whose update() and "
            "bulk_update() refuse to write them.",
            hint="Write `objects = EncryptedManager()`, or mix EncryptedQuerySet into your own.",
            obj=field,
            id=W015,
        )


def _error(field: Encrypted[Any, Any], message: str, hint: str, code: str) -> checks.Error:
    return checks.Error(message, hint=hint, obj=field, id=code)
