"""One consistent snapshot of a database, as a stream and as a description."""

from __future__ import annotations

from django.db import connections

from backups.dumpers.base import Dumper
from backups.dumpers.sqlite import SQLiteDumper
from backups.errors import EngineUnsupported

__all__ = ["Dumper", "dumper"]


def dumper(using: str) -> Dumper:
    """Return the dumper for a database alias; a context manager that holds the snapshot."""
    vendor = connections[using].vendor
    if vendor == "postgresql":
        from backups.dumpers.postgresql import PostgreSQLDumper  # a site on SQLite has no driver

        return PostgreSQLDumper(using)
    if vendor == "sqlite":
        return SQLiteDumper(using)
    raise EngineUnsupported(
        f"The database {using!r} is {vendor}; backups know PostgreSQL and SQLite. "
        "Name only such in BACKUPS_DATABASES."
    )
