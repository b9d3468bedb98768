"""The one query, compiled once.

Every authenticated request asks the same question, and so does every refresh. Django builds its SQL
anew each time, which for two joined tables takes twice as long as PostgreSQL takes to answer; so it
is built once for each connection, by Django itself, and only executed from then on. What comes out
is what the QuerySet would give, by the same converters (a test compares the two on each database);
and where Django's compiler is not what it was, the QuerySet itself answers (ADR 0002).
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from django.db import connections, router
from django.db.models.functions import Now

from sessions_tracking.models import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Model

    from sessions_tracking.models import SessionQuerySet

logger = logging.getLogger("sessions_tracking")

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
CLOCK: dict[str, Any] = {"read_at": Now()}  # the database's
USER: Any = Session._meta.get_field("user")
KEPT_AS = "_sessions_tracking_lookups"  # on the connection: one thread's, and gone when it goes


class Lookup(Protocol):
    """One session with its user, by its id."""

    def get(self, session_id: uuid.UUID) -> Session | None:
        """Return the session, in one statement; ``None`` where there is none."""


@dataclass(frozen=True, slots=True)
class PlainLookup:
    """The same by the QuerySet, compiled anew each time."""

    sessions: SessionQuerySet

    def get(self, session_id: uuid.UUID) -> Session | None:
        """Return the session, in one statement; ``None`` where there is none."""
        return self.sessions.filter(pk=session_id).first()


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
    clock: int | None  # the place of ``read_at`` in a row

    def get(self, session_id: uuid.UUID) -> Session | None:
        """Return the session, in one statement; ``None`` where there is none."""
        key = Session._meta.pk.get_db_prep_value(session_id, self.connection)
        with self.connection.cursor() as cursor:
            cursor.execute(self.sql, (key,))
            row = cursor.fetchone()
        if row is None:
            return None
        row = self.convert(row)
        session: Session = self.session.instance(row, self.connection.alias)
        USER.set_cached_value(session, self.user.instance(row, self.connection.alias))
        if self.clock is not None:
            session.read_at = row[self.clock]
        return session


def lookup(*, without: tuple[str, ...], with_clock: bool = False) -> Lookup:
    """Return this thread's lookup; in the database that is written to, never a replica behind it.

    ``without`` names columns to defer; ``with_clock`` reads the database's clock into ``read_at``.
    """
    connection = connections[router.db_for_write(Session)]
    known: dict[Any, Lookup] = connection.__dict__.setdefault(KEPT_AS, {})
    if (without, with_clock) not in known:
        sessions = Session.objects.using(connection.alias).select_related("user").defer(*without)
        known[without, with_clock] = compiled(
            connection, sessions.annotate(**CLOCK) if with_clock else sessions
        )
    return known[without, with_clock]


def compiled(connection: BaseDatabaseWrapper, sessions: SessionQuerySet) -> Lookup:
    """Return the compiled lookup, or the plain one where Django cannot be read any more."""
    try:
        return _compile(connection, sessions)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # a Django yet unknown
        logger.exception("Sessions are looked up by the QuerySet: slower, and right.")
        return PlainLookup(sessions)


def _compile(connection: BaseDatabaseWrapper, sessions: SessionQuerySet) -> CompiledLookup:
    compiler: Any = sessions.filter(pk=uuid.UUID(int=0)).query.get_compiler(connection=connection)
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
        clock=(compiler.annotation_col_map or {}).get("read_at"),
    )


def _columns(compiler: Any, info: dict[str, Any]) -> Columns:
    first, *_, last = info["select_fields"]
    place = slice(first, last + 1)
    names = [entry[0].target.attname for entry in compiler.select[place]]
    return Columns(model=info["model"], names=names, place=place)
