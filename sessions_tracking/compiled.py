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
from typing import TYPE_CHECKING, Any, TypeAlias

from django.db import connections, router
from django.db.models.functions import Now

from sessions_tracking.models import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from sessions_tracking.models import SessionQuerySet

logger = logging.getLogger("sessions_tracking")

# What each asker does without; it is loaded if somebody reads it all the same.
ROTATION_NEEDS_NO = ("sealed_cookie_key", "device", "fingerprint", "location", "risk", "end_reason")
AUTHENTICATION_NEEDS_NO = (
    *ROTATION_NEEDS_NO,
    "counter",
    "key_id",
    "rotated_at",
    "amr",
    "ip",
    "user_agent",
)
CLOCK: dict[str, Any] = {"read_at": Now()}  # the database's
USER: Any = Session._meta.get_field("user")
Lookup: TypeAlias = "Callable[[uuid.UUID], Session | None]"
KEPT_AS = "_sessions_tracking_lookups"  # on the connection: one thread's, and gone when it goes


def lookup(*, without: tuple[str, ...]) -> Lookup:
    """Return this thread's lookup; in the database that is written to, never a replica behind it.

    It takes a session's id and returns the session with its user by one statement, or ``None``.
    ``without`` names columns to defer; the database's clock is read into ``read_at``.
    """
    connection = connections[router.db_for_write(Session)]
    known: dict[Any, Lookup] = connection.__dict__.setdefault(KEPT_AS, {})
    if without not in known:
        sessions = Session.objects.using(connection.alias).select_related("user").defer(*without)
        known[without] = compiled(connection, sessions.annotate(**CLOCK))
    return known[without]


def compiled(connection: BaseDatabaseWrapper, sessions: SessionQuerySet) -> Lookup:
    """Return the compiled lookup, or the plain one where Django cannot be read any more."""
    try:
        return _compile(connection, sessions)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # a Django yet unknown
        logger.exception("Sessions are looked up by the QuerySet: slower, and right.")
        return plain(sessions)


def plain(sessions: SessionQuerySet) -> Lookup:
    """Return the same by the QuerySet, compiled anew each time."""
    return lambda session_id: sessions.filter(pk=session_id).first()


def _compile(connection: BaseDatabaseWrapper, sessions: SessionQuerySet) -> Lookup:
    compiler: Any = sessions.filter(pk=uuid.UUID(int=0)).query.get_compiler(connection=connection)
    sql, _ = compiler.as_sql()
    converters = compiler.get_converters([entry[0] for entry in compiler.select])
    of_session = compiler.klass_info
    (of_user,) = of_session["related_klass_infos"]
    session_of, user_of = _reader(compiler, of_session), _reader(compiler, of_user)
    clock = compiler.annotation_col_map["read_at"]  # where it stands in a row

    def find(session_id: uuid.UUID) -> Session | None:
        key = Session._meta.pk.get_db_prep_value(session_id, connection)
        with connection.cursor() as cursor:
            cursor.execute(sql, (key,))
            row = cursor.fetchone()
        if row is None:
            return None
        if converters:
            row = next(iter(compiler.apply_converters([row], converters)))
        session: Session = session_of(row)
        USER.set_cached_value(session, user_of(row))
        session.read_at = row[clock]
        return session

    return find


def _reader(compiler: Any, info: dict[str, Any]) -> Callable[[Sequence[Any]], Any]:
    """Return what makes one model's instance of a row, as the QuerySet does."""
    first, *_, last = info["select_fields"]
    place = slice(first, last + 1)
    names = [entry[0].target.attname for entry in compiler.select[place]]
    from_db, alias = info["model"].from_db, compiler.connection.alias
    return lambda row: from_db(alias, names, row[place])
