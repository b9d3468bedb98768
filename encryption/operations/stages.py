"""The table at each stage of an exchange, as models: before, with two columns, and after."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from encryption.fields import Encrypted

if TYPE_CHECKING:
    from django.db import models
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.migrations.state import ProjectState


@dataclass
class Stages:
    """One column of one model while it is exchanged; ``beside`` is the second one."""

    app_label: str
    model_name: str
    name: str
    from_state: ProjectState
    to_state: ProjectState

    @property
    def beside(self) -> str:
        """The second column, while there are two."""
        return f"{self.name}_exchanged"

    @property
    def table(self) -> str:
        """The table."""
        return str(self.old._meta.db_table)

    @cached_property
    def old(self) -> type[models.Model]:
        """The model before."""
        return self.from_state.apps.get_model(self.app_label, self.model_name)

    @cached_property
    def new(self) -> type[models.Model]:
        """The model as the migration wants it."""
        return self.to_state.apps.get_model(self.app_label, self.model_name)

    @cached_property
    def both(self) -> type[models.Model]:
        """The model with both columns."""
        return self._with_second().apps.get_model(self.app_label, self.model_name)

    @cached_property
    def without_old(self) -> type[models.Model]:
        """The model when only the second column is left, under its passing name."""
        state = self._with_second()
        state.remove_field(self.app_label, self.model_name.lower(), self.name)
        return state.apps.get_model(self.app_label, self.model_name)

    def _with_second(self) -> ProjectState:
        state = self.from_state.clone()
        model = self.model_name.lower()
        state.add_field(self.app_label, model, self.beside, self._second(), False)
        return state

    def _second(self) -> Any:
        """Make the new field as it is while it stands beside the old one: nullable, not unique."""
        return _changed(
            field_of(self.new, self.name), null=True, unique=False, db_index=False, db_column=None
        )

    def final(self) -> models.Field[Any, Any]:
        """Make the new field as its column shall be, on its model."""
        target = field_of(self.new, self.name)
        final = _changed(target)
        final.set_attributes_from_name(self.name)
        final.model = target.model
        return final

    # --- how far it is ----------------------------------------------------------------------------

    def is_begun(self, connection: BaseDatabaseWrapper) -> bool:
        """Return whether a killed run left its second column."""
        return self.beside in self._columns(connection)

    def is_done(self, connection: BaseDatabaseWrapper) -> bool:
        """Return whether a killed run ended this exchange, and died before its migration did.

        The old values are gone then, and encrypting once more would lose the new ones.
        """
        wanted = isinstance(field_of(self.new, self.name), Encrypted)
        held = isinstance(field_of(self.old, self.name), Encrypted)
        if wanted == held or self.is_begun(connection):
            return False
        return self._is_encrypted(connection) == wanted

    def _is_encrypted(self, connection: BaseDatabaseWrapper) -> bool:
        """Look at the column itself: bytes, and a constraint that lets only envelopes in."""
        column = str(field_of(self.old, self.name).column)
        described = self._columns(connection)[column]
        kind = connection.introspection.get_field_type(described.type_code, described)
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, self.table)
        is_checked = any(c["check"] and set(c["columns"]) == {column} for c in found.values())
        return kind == "BinaryField" and is_checked

    def _columns(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        with connection.cursor() as cursor:
            described = connection.introspection.get_table_description(cursor, self.table)
        return {column.name: column for column in described}


def field_of(model: type[models.Model], name: str) -> Any:
    """Return a field of a model."""
    return model._meta.get_field(name)


def _changed(field: models.Field[Any, Any], **options: Any) -> models.Field[Any, Any]:
    """Copy a field with other options, for the schema editor.

    Without a default: the editor would write one into every row alike.
    """
    base = field.base if isinstance(field, Encrypted) else field
    _name, _path, args, written = base.deconstruct()
    written.pop("default", None)
    copy: models.Field[Any, Any] = type(base)(*args, **{**written, **options})
    if not isinstance(field, Encrypted):
        return copy
    return Encrypted(copy, label=field.label, subject=field.subject)
