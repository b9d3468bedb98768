"""A table in the order of its key, some rows at a time, and cells of it written by key.

``WHERE … ORDER BY pk LIMIT 1000`` over a condition that the planner cannot judge reads the whole
table for every batch as soon as it guesses that few rows are left. So each step first finds by the
index where the next thousand keys end, and then reads between two keys, due or not.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from django.db.models import Model, QuerySet

ROWS_PER_BATCH = 1000


def windows(
    model: type[Model],
    *,
    using: str,
    size: int = ROWS_PER_BATCH,
    after: Any = None,
    until: Any = None,
) -> Iterator[tuple[Any, Any | None]]:
    """Return the key before and the last key of each window; the last window has no end.

    Nothing is looked for beyond ``until``, so that a table that grows as fast has an end.
    """
    keys, last = model._base_manager.using(using).order_by("pk").values_list("pk", flat=True), after
    keys = keys if until is None else keys.filter(pk__lte=until)
    while True:
        after = last
        following = keys if after is None else keys.filter(pk__gt=after)
        last = next(iter(following[size - 1 : size]), None)
        yield after, last
        if last is None:
            return


@contextmanager
def writing(model: type[Model], *, using: str) -> Iterator[None]:
    """Open a transaction that reads rows of a table and then writes them."""
    with transaction.atomic(using=using):
        if not connections[using].features.has_select_for_update:
            write_first(model, using=using)
        yield


def write_first(model: type[Model], *, using: str) -> None:
    """Wait for SQLite's one write lock by a write of nothing.

    A transaction that has read already, and in which somebody else has written since, is refused
    the lock at once ("database is locked"), however long the connection would wait.
    """
    quote = connections[using].ops.quote_name
    key, table = quote(str(model._meta.pk.column)), quote(model._meta.db_table)
    with connections[using].cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {key} = {key} WHERE 1 = 0")  # noqa: S608 - names, quoted


def locked(
    rows: QuerySet[Any], *, after: Any, last: Any | None, skip_locked: bool = False
) -> QuerySet[Any]:
    """Lock the rows after one key and up to another, where the database can; ``None`` is no limit.

    SQLite has one writer at a time: :func:`writing` has reserved it.
    """
    rows = rows if after is None else rows.filter(pk__gt=after)
    rows = rows if last is None else rows.filter(pk__lte=last)
    if connections[rows.db].features.has_select_for_update:
        rows = rows.select_for_update(skip_locked=skip_locked, of=("self",))
    return rows.order_by("pk")


def write_cells(
    model: type[Model],
    columns: Sequence[str],
    rows: Iterable[tuple[Any, Sequence[Any]]],
    *,
    using: str,
    expected: str = "",
) -> int:
    """Write prepared values by primary key, each row its own, and return how many were written.

    With a column ``expected``, the last value of each row is what must still stand there: compare
    and set, so that a value that somebody changed meanwhile is theirs.
    """
    connection, key = connections[using], model._meta.pk
    quote = connection.ops.quote_name
    assigned = ", ".join(f"{quote(column)} = %s" for column in columns)
    compared = f" AND {quote(expected)} = %s" if expected else ""
    statement = (
        f"UPDATE {quote(model._meta.db_table)} SET {assigned} "  # noqa: S608 - names, quoted
        f"WHERE {quote(str(key.column))} = %s{compared}"
    )
    count = len(columns)
    parameters = [
        (*values[:count], key.get_db_prep_value(pk, connection), *values[count:])
        for pk, values in rows
    ]
    if not parameters:
        return 0
    with connection.cursor() as cursor:
        cursor.executemany(statement, parameters)
        return int(cursor.rowcount)
