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
from django.db import connections, models
from django.db.models import Count, F
from django.db.models.functions import Substr

from encryption.batches import ROWS_PER_BATCH, locked, windows, write_cells, writing
from encryption.cipher import HEADER_BYTES, RING_VERSION, SUBJECT_VERSION, key_id_of
from encryption.errors import DecryptionFailed
from encryption.failures import Tally, report
from encryption.fields import Encrypted
from encryption.fields.columns import CiphertextCol, EncryptedCol
from encryption.fields.rows import as_row
from encryption.models import Rotation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

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
    """What is done to a field's values: which are due, and what becomes of one."""

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


@dataclass(frozen=True, slots=True)
class RotationPass:
    """Goes through one field, window by window, until nothing is due."""

    field: Encrypted[Any, Any]
    task: Task
    using: str = "default"
    rows_per_batch: int = ROWS_PER_BATCH
    on_batch: Callable[[Tally], None] = lambda _tally: None

    def due(self) -> models.QuerySet[Any]:
        """Return the rows whose value is due now."""
        return self.task.due(self.field, _with_heads(self.field, self.using))

    def __call__(self, progress: Rotation, *, clock: Callable[[], datetime]) -> Tally:
        """Work until nothing is due, or nothing of what is due can be rewritten."""
        total = Tally()
        self._rewrite_table(progress, total, clock, skip_locked=True)
        before = -1
        while before != total.rewritten and self.due().exists():
            before, total.unreadable, progress.cursor = total.rewritten, 0, ""
            self._rewrite_table(progress, total, clock, skip_locked=False)
        return total

    def _rewrite_table(
        self, progress: Rotation, total: Tally, clock: Callable[[], datetime], *, skip_locked: bool
    ) -> None:
        """Go on from the cursor to the end; each window commits with the cursor after it."""
        model = self.field.model
        after = model._meta.pk.to_python(progress.cursor) if progress.cursor else None
        table = windows(model, using=self.using, size=self.rows_per_batch, after=after)
        for first, last in table:
            with writing(model, using=self.using):
                written, seen = self._rewrite(first, last, total, skip_locked=skip_locked)
                progress.cursor = "" if last is None else str(last)
                if seen:
                    self._save(progress, written, clock())
            total.rewritten += written
            total.seen += seen
            self.on_batch(total)

    def _rewrite(
        self, after: Any, last: Any | None, total: Tally, *, skip_locked: bool
    ) -> tuple[int, int]:
        """Rewrite one window; return how many values were written, and how many were due."""
        field, identity = self.field, self.field.identity().attname
        connection: Any = connections[self.using]
        binary, column = connection.Database.Binary, str(field.column)
        rows = (
            locked(self.due(), after=after, last=last, skip_locked=skip_locked)
            .annotate(envelope=Ciphertext(field.name))
            .values("pk", identity, "envelope")
        )
        cells, seen = [], 0
        for row in rows:
            seen, old = seen + 1, bytes(row["envelope"])
            if new := self._resealed(row["pk"], as_row(row[identity]) or b"", old, total):
                cells.append((row["pk"], [binary(new), binary(old)]))
        written = write_cells(field.model, [column], cells, using=self.using, expected=column)
        return written, seen

    def _resealed(self, pk: Any, row: bytes, old: bytes, total: Tally) -> bytes:
        try:
            return self.task.reseal(self.field, old, row)
        except DecryptionFailed as failure:
            total.unreadable += 1
            report(failure, target=f"{self.field.model._meta.label_lower}:{pk}")
            return b""

    def _save(self, progress: Rotation, written: int, now: datetime) -> None:
        """Save the cursor and the count; two runs at once add up, and share the cursor."""
        progress.rotated += written
        Rotation.objects.using(self.using).filter(pk=progress.pk).update(
            cursor=progress.cursor, rotated=F("rotated") + written, updated_at=now
        )
