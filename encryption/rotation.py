"""Bringing stored values to the active key while the site runs.

Rows are taken in batches by primary key, those locked by others are skipped and come later; each is
opened, sealed anew and written only where the stored bytes are still the ones that were read. The
cursor commits with its batch, so a killed run goes on where it stopped, and it ends only when the
whole table holds nothing that is due. Memory does not grow with the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from django.apps import apps
from django.db import connections, models, transaction
from django.db.models import Count, F
from django.db.models.functions import Substr

from encryption.cipher import HEADER_BYTES, RING_VERSION, SUBJECT_VERSION, key_id_of
from encryption.errors import DecryptionFailed
from encryption.failures import report
from encryption.fields import Encrypted
from encryption.fields.columns import CiphertextCol, EncryptedCol
from encryption.fields.rows import as_row
from encryption.models import Rotation
from encryption.windows import between, end_of_window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime


ROWS_PER_BATCH = 1000
SUBJECTS = "(subject keys)"


class Ciphertext(F):
    """The stored bytes of an encrypted column, as an expression."""

    def resolve_expression(self, *args: Any, **options: Any) -> CiphertextCol:
        """Return the column without its row."""
        column = super().resolve_expression(*args, **options)
        assert isinstance(column, EncryptedCol)  # noqa: S101 - only encrypted fields are named here
        return column.bare()


def all_fields() -> Iterator[Encrypted[Any, Any]]:
    """Every encrypted field of every installed model, each on the model that owns its column."""
    for model in apps.get_models():
        if model._meta.proxy or model._meta.swapped or not model._meta.managed:
            continue
        yield from (f for f in model._meta.local_concrete_fields if isinstance(f, Encrypted))


def rows_per_key(field: Encrypted[Any, Any], *, using: str) -> dict[str, int]:
    """Count a field's values by key id, in one scan; subjects' own keys are counted together."""
    found: dict[str, int] = {}
    for head, count in (
        _with_heads(field, using)
        .order_by()
        .values_list("envelope_head")
        .annotate(n=Count("pk"))
        .values_list("envelope_head", "n")
    ):
        first = bytes(head)
        known = first[:1] in (RING_VERSION, SUBJECT_VERSION)
        name = key_id_of(first) if known else "(no envelope)"
        name = SUBJECTS if first[:1] == SUBJECT_VERSION else name
        found[name] = found.get(name, 0) + count
    return found


def _with_heads(field: Encrypted[Any, Any], using: str) -> models.QuerySet[Any]:
    binary: Any = models.BinaryField()
    rows: models.QuerySet[Any] = (
        field.model._base_manager.using(using)
        .filter(**{f"{field.name}__isnull": False})
        .annotate(
            envelope_head=Substr(Ciphertext(field.name), 1, HEADER_BYTES, output_field=binary),
            envelope_version=Substr(Ciphertext(field.name), 1, 1, output_field=binary),
        )
    )
    return rows


class Task(Protocol):
    """What is to be done to a field's values: which are due, and what becomes of one."""

    def due(self, field: Encrypted[Any, Any], rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Keep the rows whose value is due."""

    def reseal(self, field: Encrypted[Any, Any], stored: bytes, row: bytes) -> bytes:
        """Return the new envelope, or raise DecryptionFailed."""


class ToActiveKey:
    """Bring values of older keys to the active one; subjects' own keys are not theirs to change."""

    def due(self, field: Encrypted[Any, Any], rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Every ring envelope that does not begin as the active key's do."""
        return rows.filter(envelope_version=RING_VERSION).exclude(
            envelope_head=field.cipher.active_header
        )

    def reseal(self, field: Encrypted[Any, Any], stored: bytes, row: bytes) -> bytes:
        """Open and seal; the clear value lives for this line alone."""
        cipher = field.cipher
        return cipher.seal(cipher.open(stored, row), row)


@dataclass(slots=True)
class Tally:
    """What a run did: values rewritten, values that could not be read, and the rows seen."""

    rewritten: int = 0
    unreadable: int = 0
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One pass after another over one field, until nothing is due."""

    field: Encrypted[Any, Any]
    task: Task
    using: str = "default"
    rows_per_batch: int = ROWS_PER_BATCH
    on_batch: Callable[[Tally], None] = lambda _tally: None

    def remaining(self) -> int:
        """Count what is due now."""
        return self.task.due(self.field, _with_heads(self.field, self.using)).count()

    def __call__(self, progress: Rotation, *, clock: Callable[[], datetime]) -> Tally:
        """Work until nothing is due, or nothing of what is due can be rewritten."""
        total = Tally()
        self._pass(progress, total, clock, skip_locked=True)
        before = -1
        while before != total.rewritten and self._is_due():
            before, total.unreadable, progress.cursor = total.rewritten, 0, ""
            self._pass(progress, total, clock, skip_locked=False)
        return total

    def _is_due(self) -> bool:
        return self.task.due(self.field, _with_heads(self.field, self.using)).exists()

    def _pass(
        self, progress: Rotation, total: Tally, clock: Callable[[], datetime], *, skip_locked: bool
    ) -> None:
        is_more = True
        while is_more:
            is_more = self._batch(progress, total, clock, skip_locked=skip_locked)
            self.on_batch(total)

    def _batch(
        self, progress: Rotation, total: Tally, clock: Callable[[], datetime], *, skip_locked: bool
    ) -> bool:
        """Rewrite one batch and move the cursor, in one transaction; tell whether rows follow."""
        model, size = self.field.model, self.rows_per_batch
        after = model._meta.pk.to_python(progress.cursor) if progress.cursor else None
        with transaction.atomic(using=self.using):
            last = end_of_window(model, using=self.using, after=after, size=size)
            rows = self._take(after, last, skip_locked=skip_locked)
            resealed = [
                (new, pk, old)
                for pk, row, old in rows
                if (new := self._reseal(pk, row, old, total))
            ]
            written = self._write(resealed)
            total.rewritten += written
            total.seen += len(rows)
            progress.cursor = "" if last is None else str(last)
            if rows:
                self._save(progress, written, clock())
        return last is not None

    def _save(self, progress: Rotation, written: int, now: datetime) -> None:
        """Keep the place and the count; two runs at once add up, and share the place."""
        progress.rotated += written
        Rotation.objects.using(self.using).filter(pk=progress.pk).update(
            cursor=progress.cursor, rotated=F("rotated") + written, updated_at=now
        )

    def _take(
        self, after: Any, last: Any | None, *, skip_locked: bool
    ) -> list[tuple[Any, bytes, bytes]]:
        field, identity = self.field, self.field.identity().attname
        rows = between(self.task.due(field, _with_heads(field, self.using)), after=after, last=last)
        features = connections[self.using].features
        if features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=skip_locked, of=("self",))
        chosen = rows.annotate(envelope=Ciphertext(field.name)).values("pk", identity, "envelope")
        return [(row["pk"], as_row(row[identity]) or b"", bytes(row["envelope"])) for row in chosen]

    def _reseal(self, pk: Any, row: bytes, old: bytes, total: Tally) -> bytes:
        try:
            return self.task.reseal(self.field, old, row)
        except DecryptionFailed as failure:
            total.unreadable += 1
            report(failure, target=f"{self.field.model._meta.label_lower}:{pk}")
            return b""

    def _write(self, resealed: list[tuple[bytes, Any, bytes]]) -> int:
        """Compare and set: a value that somebody changed meanwhile is theirs."""
        if not resealed:
            return 0
        connection = connections[self.using]
        quote, binary = connection.ops.quote_name, connection.Database.Binary  # type: ignore[attr-defined]
        options, key = self.field.model._meta, self.field.model._meta.pk
        column = quote(str(self.field.column))
        statement = (
            f"UPDATE {quote(options.db_table)} SET {column} = %s "  # noqa: S608 - names, quoted
            f"WHERE {quote(str(key.column))} = %s AND {column} = %s"
        )
        parameters = [
            (binary(new), key.get_db_prep_value(pk, connection), binary(old))
            for new, pk, old in resealed
        ]
        with connection.cursor() as cursor:
            cursor.executemany(statement, parameters)
            return int(cursor.rowcount)
