"""A table in the order of its key, some rows at a time.

``WHERE … ORDER BY pk LIMIT 1000`` over a condition that the planner cannot judge reads the whole
table for every batch as soon as it guesses that few rows are left. So each step first asks the
index where the next thousand keys end, and then looks between two keys, due or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet


def end_of_window(model: type[Model], *, using: str, after: Any, size: int) -> Any | None:
    """Get the key of the last of the next rows, or ``None`` where fewer than ``size`` are left."""
    rows = model._base_manager.using(using).order_by("pk")
    rows = rows if after is None else rows.filter(pk__gt=after)
    found = list(rows.values_list("pk", flat=True)[size - 1 : size])
    return found[0] if found else None


def between(rows: QuerySet[Any], *, after: Any, last: Any | None) -> QuerySet[Any]:
    """Keep the rows after one key and up to another; ``None`` is no limit."""
    rows = rows if after is None else rows.filter(pk__gt=after)
    rows = rows if last is None else rows.filter(pk__lte=last)
    return rows.order_by("pk")
