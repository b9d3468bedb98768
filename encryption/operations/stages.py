"""The table at each stage of an exchange, as models: before, with two columns, and after."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from encryption.cipher import HEADER_BYTES, OVERHEAD_BYTES, header
from encryption.fields import Encrypted
from encryption.keyring import keyring

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db import models
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.migrations.state import ProjectState

LONGEST_NAME = 50  # characters; PostgreSQL takes 63 bytes, and Django no two that are alike
PROBE = "encryption_exchange_probe"
SHAPE = ("type_code", "display_size", "internal_size", "precision", "scale")


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
        return f"{self.name[:LONGEST_NAME]}_exchanged"

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
        model = self._with_second().apps.get_model(self.app_label, self.model_name)
        _refusing(field_of(model, self.beside))
        return model

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
        return altered(
            field_of(self.new, self.name), null=True, unique=False, db_index=False, db_column=None
        )

    def final(self) -> models.Field[Any, Any]:
        """Make the new field as its column shall be, on its model."""
        return _refusing(altered(field_of(self.new, self.name)))

    # --- how far it is ----------------------------------------------------------------------------

    def is_begun(self, connection: BaseDatabaseWrapper) -> bool:
        """Return whether a killed run left its second column."""
        return self.beside in self._columns(connection)

    def is_fit(self, connection: BaseDatabaseWrapper) -> bool:
        """Return whether that second column is one that the new field would have."""
        kind = field_of(self.both, self.beside).db_type(connection)
        probe = connection.ops.quote_name(PROBE)
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE {probe} (held {kind})")
            [wanted] = connection.introspection.get_table_description(cursor, PROBE)
            cursor.execute(f"DROP TABLE {probe}")
        held = self._columns(connection)[self.beside]
        return all(getattr(held, name) == getattr(wanted, name) for name in SHAPE)

    def is_done(self, connection: BaseDatabaseWrapper) -> bool:
        """Return whether a killed run ended this exchange, and died before its migration did.

        The old values are gone then, and encrypting once more would lose the new ones.
        """
        is_wanted = isinstance(field_of(self.new, self.name), Encrypted)
        return self._is_encrypted(connection) == is_wanted

    def _is_encrypted(self, connection: BaseDatabaseWrapper) -> bool:
        """Look at the table itself for the constraint that lets only envelopes in."""
        column = connection.ops.quote_name(str(field_of(self.old, self.name).column))
        bare = column.strip('"')
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(
                    "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
                    "WHERE conrelid = %s::regclass AND contype = 'c'",
                    [connection.ops.quote_name(self.table)],
                )
                begins = [f"({name} >= '\\x01'::bytea)" for name in (column, bare)]
            else:
                cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [self.table])
                begins = [f"({column} >= x'01'"]
            found = [definition for (definition,) in cursor.fetchall()]
        return any(begin in definition for definition in found for begin in begins)

    def _columns(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        with connection.cursor() as cursor:
            described = connection.introspection.get_table_description(cursor, self.table)
        return {column.name: column for column in described}


def field_of(model: type[models.Model], name: str) -> Any:
    """Return a field of a model."""
    return model._meta.get_field(name)


def _refusing(field: models.Field[Any, Any]) -> models.Field[Any, Any]:
    """Let the column of a clear field refuse envelopes, as an encrypted one's refuses the rest."""
    if not isinstance(field, Encrypted):
        field.db_check = partial(_clear_check, field, field.db_check)  # type: ignore[method-assign]
    return field


def _clear_check(
    field: models.Field[Any, Any],
    own: Callable[[BaseDatabaseWrapper], str | None],
    connection: BaseDatabaseWrapper,
) -> str | None:
    """Let the database refuse envelopes in a column that is clear again, whoever writes them.

    A release that still encrypts would otherwise write them there: SQLite takes bytes in a column
    of any type, and PostgreSQL reads a literal of bytes as a text.
    """
    column = connection.ops.quote_name(str(field.column))
    headers = [header(key_id).hex() for key_id in keyring().by_id]
    if connection.vendor == "sqlite":
        known = ",".join(f"x'{begin}'" for begin in headers)
        ours = f"typeof({column}) <> 'blob'"
    else:
        known = ",".join(f"'\\x{begin}'::bytea" for begin in headers)
        ours = f"{column}::text !~ '^\\\\x0[12][0-9a-f]{{{2 * OVERHEAD_BYTES - 2},}}$'"
    if field.get_internal_type() == "BinaryField":
        ours = f"substr({column},1,{HEADER_BYTES}) NOT IN ({known})"
    before = own(connection)
    return f"({before}) AND ({ours})" if before else ours


def altered(field: models.Field[Any, Any], **options: Any) -> models.Field[Any, Any]:
    """Copy a field with other options, for the schema editor.

    Without a default: the editor would write one into every row alike.
    """
    base = field.base if isinstance(field, Encrypted) else field
    _name, _path, args, written = base.deconstruct()
    written.pop("default", None)
    copy: models.Field[Any, Any] = type(base)(*args, **{**written, **options})
    if isinstance(field, Encrypted):
        copy = Encrypted(copy, label=field.label, subject=field.subject)
    copy.set_attributes_from_name(field.name)
    copy.model = field.model
    return copy
