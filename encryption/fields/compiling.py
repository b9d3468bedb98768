"""Where an encrypted column may stand in a query: in a SELECT list that is opened, nowhere else.

Every form of the ORM ends in SQL, so this is decided while Django makes it. A compiler knows its
own query and not for whom it compiles: a subquery, a side of a union and what an aggregate is taken
over have compilers of their own, which are told nothing. The call stack is the only record of who
asked (ADR 0012); whatever is not recognised there is refused.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models import Exists, Subquery
from django.db.models.expressions import Col, Ref
from django.db.models.lookups import IsNull
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLAggregateCompiler, SQLCompiler

from encryption.errors import QueryRefused
from encryption.fields.wrapping import Wrapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from encryption.fields.columns import EncryptedCol

LISTS = {"get_select", "get_group_by"}  # methods of a compiler in which a column may be compiled
OUTERMOST = {"execute_sql", "sql_with_params"}  # the rows come to the caller, by our converter

# Compilers whose SELECT list was found to be opened, so that its next column need not look again.
_opened: WeakSet[SQLCompiler] = WeakSet()


def require_opened(col: EncryptedCol) -> None:
    """Refuse the column unless it is compiled for a SELECT whose values are opened.

    It may pass through subqueries that are themselves a column of the next SELECT, through unions,
    and through what a window filter or an aggregate is taken over, as long as none compares it.
    """
    if not _reaches_reader(col):
        raise QueryRefused(col.encrypted.only_readable())


def _reaches_reader(col: EncryptedCol) -> bool:
    part: Any = col  # what stands in the list: the column, then each subquery around it
    inside: SQLCompiler | None = None
    passed, askers = [], _askers()
    for task, owner in askers:
        is_sql = owner is None or hasattr(owner, "as_sql")  # otherwise it is wanted as text
        if task in OUTERMOST or isinstance(owner, Exists) or not is_sql:
            break
        if owner is inside:
            continue
        if task == "compile":
            called_by, asker = next(askers, ("", None))
            if isinstance(asker, IsNull) and part is not col:
                return True
            is_listed = called_by in LISTS and part.output_field is col.target
            if not is_listed or _is_compared(part, owner):
                return False
            if owner in _opened:
                return True
            inside = owner
            passed.append(owner)
        elif task == "as_sql" and isinstance(owner, Query | Subquery):
            part = owner
        elif _passes_on(task, owner):
            inside = owner
        else:
            return False
    _opened.update(passed)
    return bool(passed)


def _askers() -> Iterator[tuple[str, Any]]:
    """Return each running function of the ORM and whose method it is, innermost first."""
    frame = inspect.currentframe()
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith("django.db.models."):
            yield frame.f_code.co_name, frame.f_locals.get("self")
        frame = frame.f_back


def _passes_on(task: str, outer: Any) -> bool:
    """Return whether a compiler hands the rows of another one on, and opens or ignores them."""
    if isinstance(outer, SQLAggregateCompiler):
        return not any(map(_mentions_encrypted, outer.query.annotation_select.values()))
    if isinstance(outer, SQLCompiler) and outer.query.combinator:
        return _is_aligned(outer.query)
    return task == "get_qualify_sql"


def _is_encrypted(expression: Any) -> bool:
    if isinstance(expression, Ref):
        return _is_encrypted(_source(expression))
    is_value = isinstance(expression, Col | Subquery | Query)
    return is_value and isinstance(expression.output_field, Wrapping)


def _source(reference: Ref) -> Any:
    """Return the selected expression that an alias stands for."""
    return reference.get_source_expressions()[0]


def _mentions_encrypted(expression: Any) -> bool:
    """Return whether an expression holds an encrypted value, other than to ask whether it is NULL.

    A reference to a column of the inner query is compiled by its name; so it is looked through.
    """
    if isinstance(expression, IsNull) and _is_encrypted(expression.lhs):
        return False
    sources: list[Any] = getattr(expression, "get_source_expressions", list)()
    return _is_encrypted(expression) or any(map(_mentions_encrypted, sources))


# --- one query ------------------------------------------------------------------------------------


def _is_compared(part: Any, compiler: SQLCompiler) -> bool:
    """Return whether a query orders by a selected value, or tells rows apart by it.

    ORDER BY and window filters name what is selected by position or alias, without compiling it.
    They are compiled here once more, while there is no SELECT list yet to name.
    """
    query: Any = compiler.query
    if compiler.select is None and compiler not in _opened:
        compiler.get_order_by()
        if query.where.contains_over_clause:
            with suppress(EmptyResultSet, FullResultSet):
                compiler.compile(query.where)
    if any(query.annotation_select.get(name) is part for name in query.distinct_fields):
        return True
    if query.combinator and not _is_aligned(query):
        return True
    tables = {part.alias} if isinstance(part, Col) else {c.alias for c in part.get_external_cols()}
    return not all(
        _is_row_known(table, query, chosen)
        for chosen in _rows_told_apart(query)
        for table in tables
    )


def _rows_told_apart(query: Any) -> Iterator[list[Any]]:
    """Return the columns by which DISTINCT, a union and GROUP BY tell rows apart."""
    is_union = query.combinator and not query.combinator_all
    if is_union or (query.distinct and not query.distinct_fields) or query.group_by is True:
        yield _selection(query)
    if isinstance(query.group_by, tuple):
        yield [_source(e) if isinstance(e, Ref) else e for e in query.group_by]


def _selection(query: Any) -> list[Any]:
    """Return the SELECT list of a query that may not be compiled yet, in its order."""
    if query.selected is not None:
        named = {int: query.select.__getitem__, str: query.annotations.get}
        return [named.get(type(e), lambda e: e)(e) for e in query.selected.values()]
    columns, mask = list(query.select), query.get_select_mask()
    if query.default_cols:
        fields = [f for f in query.get_meta().concrete_fields if not mask or f in mask]
        columns = [Col(query.get_initial_alias(), field) for field in fields]
    return [*columns, *query.annotation_select.values()]


def _is_row_known(table: str, query: Any, chosen: list[Any]) -> bool:
    """Return whether equal chosen columns mean the same row of a table, and so the same value."""
    columns = [(c.alias, c.target) for c in chosen if isinstance(c, Col)]
    if any(alias == table and field.unique and not field.null for alias, field in columns):
        return True
    join = query.alias_map.get(table)
    if join is None:  # a table of the query around this one: one row of it, throughout
        return True
    if join.parent_alias is None or not (join.join_field.many_to_one or join.join_field.one_to_one):
        return False
    is_linked = (join.parent_alias, join.join_field) in columns
    return is_linked or _is_row_known(join.parent_alias, query, chosen)


def _is_aligned(query: Any) -> bool:
    """Return whether every side of a union selects the same encrypted field at the same place.

    Where it tells rows apart, all columns are the same: equal keys of two tables are not one row.
    """
    sides = [
        [getattr(e, "target", None) for e in _selection(_with_columns_of(query, side))]
        for side in query.combined_queries
    ]
    if not query.combinator_all:
        return all(side == sides[0] for side in sides)
    return all(
        all(field is column[0] for field in column)
        for column in zip(*sides, strict=False)
        if any(isinstance(field, Wrapping) for field in column)
    )


def _with_columns_of(query: Any, side: Any) -> Any:
    if query.selected is None or side.selected is not None:
        return side
    side = side.clone()  # as its compiler will do
    side.set_values(query.selected)
    return side
