"""The one query, compiled once.

Every authenticated request asks the same question. Django builds its SQL anew each time, which for
two joined tables takes twice as long as PostgreSQL takes to answer; so it is built once for each
connection, by Django itself, and only executed from then on. What comes out is what the QuerySet
would give, by the same converters (a test compares the two on each database).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connections, router
from django.db.models.query import get_related_populators

from sessions_tracking.models import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

# Not needed to answer a request; each is loaded if somebody asks for it all the same.
LEFT_OUT = (
    "counter",
    "key_id",
    "sealed_cookie_key",
    "created_at",
    "rotated_at",
    "amr",
    "ip",
    "user_agent",
    "device",
    "fingerprint",
    "location",
    "risk",
    "end_reason",
)
KEPT_AS = "_sessions_tracking_lookup"  # on the connection: one thread's, and gone when it goes


@dataclass(frozen=True, slots=True)
class CompiledLookup:
    """A SELECT of one session with its user, for one connection."""

    connection: BaseDatabaseWrapper
    sql: str
    convert: Callable[[Sequence[Any]], Sequence[Any]]
    columns: slice
    names: list[str]
    populators: list[Any]

    def get(self, session_id: uuid.UUID) -> Session | None:
        """Ask, in one statement."""
        key = Session._meta.pk.get_db_prep_value(session_id, self.connection)
        with self.connection.cursor() as cursor:
            cursor.execute(self.sql, (key,))
            row = cursor.fetchone()
        if row is None:
            return None
        row = self.convert(row)
        session = Session.from_db(self.connection.alias, self.names, row[self.columns])
        for populator in self.populators:
            populator.populate(row, session)
        return session


def lookup() -> CompiledLookup:
    """Give this thread's lookup; in the database that is written to, never a replica behind it."""
    connection = connections[router.db_for_write(Session)]
    known = connection.__dict__.get(KEPT_AS)
    if known is None:
        known = connection.__dict__[KEPT_AS] = _compile(connection)
    return known  # type: ignore[no-any-return]  # put there a line above


def _compile(connection: BaseDatabaseWrapper) -> CompiledLookup:
    joined = Session.objects.select_related("user").defer(*LEFT_OUT)
    compiler = joined.filter(pk=uuid.UUID(int=0)).query.get_compiler(connection=connection)
    sql, parameters = compiler.as_sql()
    if len(parameters) != 1:  # pragma: no cover - no Django does; better loud than wrong
        raise AssertionError(f"the lookup has {len(parameters)} parameters instead of one")
    start, *_, end = compiler.klass_info["select_fields"]
    converters = compiler.get_converters([expression for expression, *_ in compiler.select])

    def convert(row: Sequence[Any]) -> Sequence[Any]:
        return next(iter(compiler.apply_converters([row], converters))) if converters else row

    return CompiledLookup(
        connection=connection,
        sql=sql,
        convert=convert,
        columns=slice(start, end + 1),
        names=[entry[0].target.attname for entry in compiler.select[start : end + 1]],
        populators=get_related_populators(compiler.klass_info, compiler.select, connection.alias),
    )
