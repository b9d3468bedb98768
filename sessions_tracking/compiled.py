"""The one query, compiled once.

Every authenticated request asks the same question, and so does every refresh. Django builds its SQL
anew each time, which for two joined tables takes twice as long as PostgreSQL takes to answer; so it
is built once for each connection, by Django itself, and only executed from then on. What comes out
is what the QuerySet would give, by the same converters (a test compares the two on each database).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connections, router

from sessions_tracking.models import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Model

# What each asker does without; it is loaded if somebody reads it all the same.
ROTATION_NEEDS_NO = ("sealed_cookie_key", "device", "fingerprint", "location", "risk", "end_reason")
AUTHENTICATION_NEEDS_NO = (
    *ROTATION_NEEDS_NO,
    "counter",
    "key_id",
    "created_at",
    "rotated_at",
    "amr",
    "ip",
    "user_agent",
)
USER: Any = Session._meta.get_field("user")
KEPT_AS = "_sessions_tracking_lookups"  # on the connection: one thread's, and gone when it goes


@dataclass(frozen=True, slots=True)
class Columns:
    """Where one model's columns stand in a row, and what they are called."""

    model: type[Model]
    names: list[str]
    place: slice

    def instance(self, row: Sequence[Any], alias: str) -> Any:
        """Make the instance, as the QuerySet does."""
        return self.model.from_db(alias, self.names, row[self.place])


@dataclass(frozen=True, slots=True)
class CompiledLookup:
    """A SELECT of one session with its user, for one connection."""

    connection: BaseDatabaseWrapper
    sql: str
    convert: Callable[[Sequence[Any]], Sequence[Any]]
    session: Columns
    user: Columns

    def get(self, session_id: uuid.UUID) -> Session | None:
        """Ask, in one statement."""
        key = Session._meta.pk.get_db_prep_value(session_id, self.connection)
        with self.connection.cursor() as cursor:
            cursor.execute(self.sql, (key,))
            row = cursor.fetchone()
        if row is None:
            return None
        row = self.convert(row)
        session: Session = self.session.instance(row, self.connection.alias)
        USER.set_cached_value(session, self.user.instance(row, self.connection.alias))
        return session


def lookup(*, without: tuple[str, ...]) -> CompiledLookup:
    """Get this thread's lookup; in the database that is written to, never a replica behind it."""
    connection = connections[router.db_for_write(Session)]
    known: dict[tuple[str, ...], CompiledLookup] = connection.__dict__.setdefault(KEPT_AS, {})
    if without not in known:
        known[without] = _compile(connection, without)
    return known[without]


def _compile(connection: BaseDatabaseWrapper, without: tuple[str, ...]) -> CompiledLookup:
    joined = Session.objects.select_related("user").defer(*without)
    compiler = joined.filter(pk=uuid.UUID(int=0)).query.get_compiler(connection=connection)
    sql, _ = compiler.as_sql()
    converters = compiler.get_converters([entry[0] for entry in compiler.select])

    def convert(row: Sequence[Any]) -> Sequence[Any]:
        return next(iter(compiler.apply_converters([row], converters))) if converters else row

    of_session = compiler.klass_info
    (of_user,) = of_session["related_klass_infos"]
    return CompiledLookup(
        connection=connection,
        sql=sql,
        convert=convert,
        session=_columns(compiler, of_session),
        user=_columns(compiler, of_user),
    )


def _columns(compiler: Any, info: dict[str, Any]) -> Columns:
    first, *_, last = info["select_fields"]
    place = slice(first, last + 1)
    names = [entry[0].target.attname for entry in compiler.select[place]]
    return Columns(model=info["model"], names=names, place=place)
