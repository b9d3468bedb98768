"""Migration operations that encrypt an existing clear column, and take the encryption off again.

Both work while the site runs: a second column is filled in batches, a trigger empties it again
where the first one changes meanwhile, and only the exchange at the end holds a lock, for as long as
the last few rows take. A killed migration goes on where it stopped. The migration must say
``atomic = False``::

    class Migration(migrations.Migration):
        atomic = False
        operations = [
            EncryptField("patient", "note", Encrypted(models.TextField())),
        ]
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db import models, transaction
from django.db.migrations.operations.base import Operation, OperationCategory

from encryption.errors import ImportRefused
from encryption.fields import Encrypted, RowSalt
from encryption.fields.rows import as_row, identity_field
from garrison.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState

ROWS_PER_BATCH = 1000


class _ExchangeColumn(Operation):
    """What both operations share: the state changes like an ``AlterField``, the rows in batches."""

    reversible = True
    atomic = False
    category = OperationCategory.ALTERATION

    def __init__(
        self,
        model_name: str,
        name: str,
        field: models.Field[Any, Any],
        rows_per_batch: int = ROWS_PER_BATCH,
    ) -> None:
        """Take the model, the column, and the field that it shall be."""
        self.model_name = model_name
        self.name = name
        self.field = field
        self.rows_per_batch = rows_per_batch

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        """Serialise for a squashed migration."""
        options: dict[str, Any] = {
            "model_name": self.model_name,
            "name": self.name,
            "field": self.field,
        }
        if self.rows_per_batch != ROWS_PER_BATCH:
            options["rows_per_batch"] = self.rows_per_batch
        return type(self).__qualname__, [], options

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Put the new field in the old one's place."""
        state.alter_field(
            app_label, self.model_name.lower(), self.name, self.field, preserve_default=True
        )

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Exchange the column."""
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if schema_editor.connection.in_atomic_block:
            raise ConfigurationError(
                f"{self.describe()}: write `atomic = False` in the migration; in one transaction "
                "the table would be locked until all of its rows are done."
            )
        Exchange(self, app_label, schema_editor, from_state, to_state).run()

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Exchange it back."""
        self.database_forwards(app_label, schema_editor, from_state, to_state)

    def references_field(self, model_name: str, name: str, app_label: str) -> bool:  # noqa: ARG002
        """Tell the optimiser what is touched."""
        return model_name.lower() == self.model_name.lower() and name == self.name


class EncryptField(_ExchangeColumn):
    """Turn a clear column into an encrypted one; backwards, into a clear one."""

    def describe(self) -> str:
        """Say what it does."""
        return f"Encrypt field {self.name} of {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        """Name the migration."""
        return f"encrypt_{self.model_name.lower()}_{self.name.lower()}"


class DecryptField(_ExchangeColumn):
    """Turn an encrypted column into a clear one; backwards, into an encrypted one."""

    def describe(self) -> str:
        """Say what it does."""
        return f"Decrypt field {self.name} of {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        """Name the migration."""
        return f"decrypt_{self.model_name.lower()}_{self.name.lower()}"


@dataclass
class Exchange:
    """One column's exchange: a second column, a trigger, batches, and the moment of the change."""

    operation: _ExchangeColumn
    app_label: str
    editor: BaseDatabaseSchemaEditor
    from_state: ProjectState
    to_state: ProjectState

    def run(self) -> None:
        """Do all of it, or what a killed run has left to do."""
        if not self._is_begun():
            self.editor.add_field(self._old_model, self._field(self._both_model, self.beside))
        self._watch_changes()
        self._fill_salts()
        while self._fill_batch():
            pass
        with transaction.atomic(using=self.using):
            self._lock()
            while self._fill_batch():
                pass
            self._stop_watching()
            self._take_over()

    # --- names and models -------------------------------------------------------------------------

    @property
    def using(self) -> str:
        """The database."""
        return str(self.editor.connection.alias)

    @property
    def name(self) -> str:
        """The field."""
        return self.operation.name

    @property
    def beside(self) -> str:
        """The second column, while there are two."""
        return f"{self.name}_exchanged"

    @property
    def _table(self) -> str:
        return str(self._old_model._meta.db_table)

    @cached_property
    def _old_model(self) -> type[models.Model]:
        return self.from_state.apps.get_model(self.app_label, self.operation.model_name)

    @cached_property
    def _new_model(self) -> type[models.Model]:
        return self.to_state.apps.get_model(self.app_label, self.operation.model_name)

    @cached_property
    def _both_model(self) -> type[models.Model]:
        state = self.from_state.clone()
        state.add_field(
            self.app_label, self.operation.model_name.lower(), self.beside, self._second(), False
        )
        return state.apps.get_model(self.app_label, self.operation.model_name)

    @cached_property
    def _after_model(self) -> type[models.Model]:
        state = self.from_state.clone()
        model = self.operation.model_name.lower()
        state.add_field(self.app_label, model, self.beside, self._second(), False)
        state.remove_field(self.app_label, model, self.name)
        return state.apps.get_model(self.app_label, self.operation.model_name)

    def _second(self) -> Any:
        """Make the new field as it is while it stands beside the old one: nullable, not unique."""
        second: Any = _without_default(self._field(self._new_model, self.name))
        _base(second).null, _base(second).db_column = True, None
        second.null, second.db_column, second.db_index = True, None, False
        second._unique = False
        return second

    def _final(self) -> models.Field[Any, Any]:
        """Make the new field as its column shall be, on its model."""
        target = self._field(self._new_model, self.name)
        final = _without_default(target)
        final.set_attributes_from_name(self.name)
        final.model = target.model
        return final

    @staticmethod
    def _field(model: type[models.Model], name: str) -> Any:
        return model._meta.get_field(name)

    # --- steps ------------------------------------------------------------------------------------

    def _is_begun(self) -> bool:
        connection = self.editor.connection
        with connection.cursor() as cursor:
            columns = connection.introspection.get_table_description(cursor, self._table)
        return self.beside in {column.name for column in columns}

    def _fill_salts(self) -> None:
        """Give each row a salt of its own, where the model was given one just now."""
        model = self._both_model
        encrypted = self._field(model, self.beside)
        owner = encrypted if isinstance(encrypted, Encrypted) else self._field(model, self.name)
        salt = identity_field(owner.model)
        if salt is None:
            raise ConfigurationError(owner.needs_row())
        if not isinstance(salt, RowSalt):
            return
        rows = model._base_manager.using(self.using)
        while keys := rows.filter(**{f"{salt.name}__isnull": True}).values_list("pk", flat=True)[
            : self.operation.rows_per_batch
        ]:
            for key in list(keys):
                rows.filter(pk=key, **{f"{salt.name}__isnull": True}).update(
                    **{salt.name: uuid.uuid4()}
                )

    def _fill_batch(self) -> bool:
        """Fill the second column of some rows; tell whether there were any."""
        with transaction.atomic(using=self.using):
            rows = self._take()
            cells = [self._cell(*row) for row in rows]
            connection = self.editor.connection
            quote = connection.ops.quote_name
            key: Any = self._old_model._meta.pk
            statement = (
                f"UPDATE {quote(self._table)} SET {quote(self.beside)} = %s "  # noqa: S608
                f"WHERE {quote(key.column)} = %s"
            )
            with connection.cursor() as cursor:
                if cells:
                    cursor.executemany(statement, cells)
        return bool(rows)

    def _take(self) -> list[tuple[Any, Any, Any]]:
        rows = self._both_model._base_manager.using(self.using).filter(
            **{f"{self.name}__isnull": False, f"{self.beside}__isnull": True}
        )
        if self.editor.connection.features.has_select_for_update:
            rows = rows.select_for_update()
        identity = identity_field(self._both_model)
        return [
            (row["pk"], row[identity.attname] if identity else None, row[self.name])
            for row in rows.order_by("pk").values(
                *{"pk", self.name, *([identity.attname] if identity else [])}
            )[: self.operation.rows_per_batch]
        ]

    def _cell(self, pk: Any, identity: Any, value: Any) -> tuple[Any, Any]:
        connection = self.editor.connection
        target = self._field(self._both_model, self.beside)
        key: Any = self._old_model._meta.pk
        if isinstance(target, Encrypted):
            if target.subject:
                raise ImportRefused(
                    f"{target.place}: encrypt the column first, then give it a subject by saving."
                )
            value = target.seal(value, row=as_row(identity) or b"")
        return target.get_db_prep_save(value, connection), key.get_db_prep_value(pk, connection)

    def _lock(self) -> None:
        if self.editor.connection.vendor == "postgresql":
            table = self.editor.quote_name(self._table)
            self.editor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")

    def _take_over(self) -> None:
        """Drop the old column; give the second one its name, constraints and indexes."""
        self.editor.remove_field(self._both_model, self._field(self._both_model, self.name))
        self.editor.alter_field(
            self._after_model,
            self._field(self._after_model, self.beside),
            self._final(),
        )

    # --- the trigger ------------------------------------------------------------------------------

    @property
    def _trigger(self) -> str:
        return self.editor.quote_name(f"{self._table}_{self.name}_exchange"[:60])

    def _watch_changes(self) -> None:
        """Empty the second column wherever the first one changes, so that it is filled again."""
        quote = self.editor.quote_name
        table, second = quote(self._table), quote(self.beside)
        first = quote(self._field(self._both_model, self.name).column)
        self._stop_watching()
        if self.editor.connection.vendor == "postgresql":
            self.editor.execute(
                f"CREATE OR REPLACE FUNCTION {self._trigger}() RETURNS trigger AS $$ BEGIN "
                f"IF NEW.{first} IS DISTINCT FROM OLD.{first} THEN NEW.{second} := NULL; END IF; "
                "RETURN NEW; END $$ LANGUAGE plpgsql"
            )
            self.editor.execute(
                f"CREATE TRIGGER {self._trigger} BEFORE UPDATE ON {table} "
                f"FOR EACH ROW EXECUTE FUNCTION {self._trigger}()"
            )
            return
        self.editor.execute(
            f"CREATE TRIGGER {self._trigger} AFTER UPDATE OF {first} ON {table} "  # noqa: S608
            f"BEGIN UPDATE {table} SET {second} = NULL WHERE rowid = NEW.rowid; END"
        )

    def _stop_watching(self) -> None:
        if self.editor.connection.vendor == "postgresql":
            table = self.editor.quote_name(self._table)
            self.editor.execute(f"DROP TRIGGER IF EXISTS {self._trigger} ON {table}")
            self.editor.execute(f"DROP FUNCTION IF EXISTS {self._trigger}()")
            return
        self.editor.execute(f"DROP TRIGGER IF EXISTS {self._trigger}")


def _base(field: models.Field[Any, Any]) -> models.Field[Any, Any]:
    return field.base if isinstance(field, Encrypted) else field


def _without_default(field: models.Field[Any, Any]) -> models.Field[Any, Any]:
    """Copy a field for the schema editor, which would write one default into every row alike."""
    base = _base(field).clone()
    base.default = models.NOT_PROVIDED
    if not isinstance(field, Encrypted):
        return base
    return Encrypted(base, label=field.label, subject=field.subject)
