"""A database that is lost: told from an error of ours, answered as 503, and used again at once.

A connection that outlives a request (``CONN_MAX_AGE``) dies with its server, and the next request
of its thread would be the one to find out. ``CONN_HEALTH_CHECKS`` asks the server each time; here
the socket is asked instead, which costs no round trip: what is idle has nothing to read, unless
the other side has hung up.
"""

from __future__ import annotations

import logging
import selectors
import sqlite3
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.utils.log import log_response

from garrison.errors import RETRY_AFTER_SECONDS
from http_hardening.answers import answer

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.http import HttpRequest, HttpResponse

# Not below "django", where a host's AdminEmailHandler would mail each request of an outage.
logger = logging.getLogger("garrison.outages")
# SQLite has one class for a lost file and for a missing table; only its code tells them apart.
SQLITE_LOST = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
READ_ONLY = "25006"  # PostgreSQL's SQLSTATE of a write to a standby
PROGRAM_LIMIT = "54"  # the class of a statement that no server takes: an error of ours

Selector: type[selectors.SelectSelector | selectors.PollSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)


def is_outage(failure: BaseException | None) -> bool:
    """Return whether the failure, or what caused it, is a database that cannot serve now."""
    while failure is not None:
        if _is_outage(failure):
            return True
        failure = failure.__cause__
    return False


def _is_outage(failure: BaseException) -> bool:
    if not isinstance(failure, DatabaseError | InterfaceError):
        return False
    cause = failure.__cause__
    sqlite_code: int | None = getattr(cause, "sqlite_errorcode", None)
    if sqlite_code is not None:
        return sqlite_code & 0xFF in SQLITE_LOST  # the rest of the bits says more of the same
    state = str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or "")
    if isinstance(failure, OperationalError | InterfaceError):
        return not state.startswith(PROGRAM_LIMIT)
    return state == READ_ONLY


def logged_answer(request: HttpRequest, failure: BaseException | None) -> HttpResponse | None:
    """Answer an outage by 503 and log its traceback, once; ``None`` where it is something else."""
    if not is_outage(failure):
        return None
    response = answer(
        request,
        status=503,
        detail=f"The database cannot be reached. Try again in {RETRY_AFTER_SECONDS} seconds.",
    )
    # As Django logs what no view has caught; it marks the answer, so that it is not logged again.
    log_response(
        "%s: %s",
        response.reason_phrase,
        request.path,
        response=response,
        request=request,
        exception=failure,
        logger=logger,
    )
    return response


def drop_lost_connections(**_: object) -> None:
    """Close this thread's connections whose server has hung up; the next statement opens anew."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block and _has_hung_up(connection):
            connection.close()


def _has_hung_up(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the idle connection has something to read: its end, or why it was ended.

    Rarely it is a notice of a live server, and a connection is opened for nothing.
    """
    fileno = getattr(connection.connection, "fileno", None)
    if fileno is None:  # not open, or a file
        return False
    try:
        with Selector() as selector:
            selector.register(fileno(), selectors.EVENT_READ)
            return bool(selector.select(0))
    except Exception:  # noqa: BLE001 - each driver has its own for what is closed already
        return True
