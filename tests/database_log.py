"""What PostgreSQL writes into its log while a test makes statements fail."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.db import DatabaseError, connection, connections, transaction

LOG = Path(os.environ["VAR_DIR"]).parent / "servers" / "log" / "postgresql.log"
READABLE = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True),
    # With TEST_DATABASE_URL the server is somebody else's, and its log is out of a test's reach.
    pytest.mark.skipif(not LOG.exists(), reason="the log of a server that runs elsewhere"),
]


def written_during(act: Callable[[], object]) -> str:
    """Return what the log gained meanwhile."""
    begins_at = LOG.stat().st_size
    act()
    return LOG.read_bytes()[begins_at:].decode()


@contextmanager
def locked_tables(*tables: str) -> Iterator[Any]:
    """Hold the tables from a connection of its own, so that each write must wait."""
    other = connections["default"].copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE")
        yield other
    finally:
        other.close()


def fail(act: Callable[[], Any]) -> None:
    """Let the act wait for a lock until the server cancels it."""
    with pytest.raises((DatabaseError, UpdateError)), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 40")
        act()
