"""The two operations as a migration names them, and what they change in its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db.migrations.operations.base import Operation, OperationCategory

from encryption.batches import ROWS_PER_BATCH
from encryption.operations.exchange import Exchange
from encryption.operations.stages import Stages
from garrison.errors import ConfigurationError

if TYPE_CHECKING:
    from django.db import models
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState


class _ExchangeColumn(Operation):
    """What both operations share: the state changes like an ``AlterField``, the rows in batches."""

    verb: ClassVar[str]
    atomic = False
    reduces_to_sql = False
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
        stages = Stages(app_label, self.model_name, self.name, from_state, to_state)
        Exchange(stages, schema_editor, self.rows_per_batch).run()

    database_backwards = database_forwards

    def describe(self) -> str:
        """Report what it does."""
        return f"{self.verb} field {self.name} of {self.model_name}"

    @property
    def migration_name_fragment(self) -> str:
        """Name the migration."""
        return f"{self.verb}_{self.model_name}_{self.name}".lower()


class EncryptField(_ExchangeColumn):
    """Turn a clear column into an encrypted one; backwards, into a clear one."""

    __module__ = "encryption.operations"  # where migrations import it from
    verb = "Encrypt"


class DecryptField(_ExchangeColumn):
    """Turn an encrypted column into a clear one; backwards, into an encrypted one."""

    __module__ = "encryption.operations"  # where migrations import it from
    verb = "Decrypt"
