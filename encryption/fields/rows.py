"""Which sixteen bytes stand for a row: its UUID primary key, or a salt stored in it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    AnyField = models.Field[Any, Any]


class RowSalt(models.UUIDField):  # type: ignore[type-arg]  # generic only in the stubs
    """Sixteen random bytes that stand for the row where the database assigns its key.

    A model whose primary key is no UUID needs one such column beside its encrypted ones, because
    an encrypted value is bound to its row before the database has given it a number. It is unique,
    so a salt cannot be copied to a second row, and a copied instance gets a fresh one.
    """

    description = "Row salt"

    def __init__(self, *args: Any, **options: Any) -> None:
        """Fix what makes it a salt."""
        options.setdefault("default", uuid.uuid4)
        options.setdefault("unique", True)
        options["editable"] = False
        super().__init__(*args, **options)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        """Serialise for migrations under the public path."""
        name, _, args, options = super().deconstruct()
        return name, "encryption.fields.RowSalt", list(args), options

    def pre_save(self, model_instance: models.Model, add: bool) -> uuid.UUID:  # noqa: FBT001
        """Return a salt to a row that is being made, and a fresh one to a copy."""
        if add:
            renew_salt(model_instance, self)
        value: uuid.UUID = getattr(model_instance, self.attname)
        row = None if add else as_row(value)
        return value if row is None else SavedSalt(bytes=row)


class SavedSalt(uuid.UUID):
    """The salt that a ``save()`` writes back, told apart from one that an ``update()`` sets."""


def identity_field(model: type[models.Model]) -> AnyField | None:
    """Name the column that stands for a row of the model's own table, or ``None``.

    A salt wins over a UUID primary key, so that a host may add one where keys are set by hand.
    """
    own = model._meta.local_concrete_fields
    for field in own:
        if isinstance(field, RowSalt):
            return field
    return _uuid_key(model)


def _uuid_key(model: type[models.Model]) -> AnyField | None:
    key: Any = model._meta.pk
    target = key
    while getattr(target, "remote_field", None):
        target = target.target_field
    if not isinstance(target, models.UUIDField):
        return None
    # A key that the database makes is not known when the value is encrypted.
    return key if target.db_default is models.NOT_PROVIDED else None


def renew_salt(instance: models.Model, salt: RowSalt) -> None:
    """Make sure that an instance about to be inserted has a salt no other row has.

    One that has a database is taken for a copy of a row: also one that is new, and was given a
    related object, for which Django notes the database too.
    """
    state: Any = instance._state
    has_another = state.db is not None and not getattr(state, "row_salt_is_fresh", False)
    if has_another or getattr(instance, salt.attname) is None:
        setattr(instance, salt.attname, uuid.uuid4())
        state.row_salt_is_fresh, state.row_salt_is_copys = True, has_another


def keep_salt(instance: models.Model) -> None:
    """Take the instance's salt for the one of the row that it is to be written to."""
    state: Any = instance._state
    state.row_salt_is_fresh = True


def is_copy(instance: models.Model) -> bool:
    """Return whether the instance had a salt, and was given another when it was to be inserted."""
    return getattr(instance._state, "row_salt_is_copys", False)


def row_of(instance: models.Model, field: AnyField) -> bytes | None:
    """Return the sixteen bytes of the instance's row, or ``None`` while it has none."""
    return as_row(getattr(instance, field.attname))


def as_row(value: Any) -> bytes | None:
    """Turn a key as Django or a caller writes it into sixteen bytes."""
    if isinstance(value, uuid.UUID):
        return value.bytes
    if value is None:
        return None
    try:
        return uuid.UUID(str(value)).bytes
    except ValueError:
        return None


def settle_salt(instance: models.Model) -> None:
    """Forget, once a row is written, that its salt was fresh: the next copy needs its own."""
    state: Any = instance._state
    state.row_salt_is_fresh = state.row_salt_is_copys = False
