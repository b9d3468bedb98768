"""Adding seals by the thousand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

from audit.models import EventSeal

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = ("event_id", "stream", "seq", "version", "key_id", "prev", "mac", "sealed_at")
_COPY = f"COPY audit_eventseal ({', '.join(COLUMNS)}) FROM STDIN"


def insert(seals: Sequence[EventSeal]) -> None:
    """Add the seals; refused where one of their events or numbers has one already."""
    if connection.vendor != "postgresql":
        EventSeal.objects.bulk_create(seals)
        return
    # COPY takes a third of the time of INSERT; the constraints judge it alike.
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for seal in seals:
            copy.write_row([getattr(seal, column) for column in COLUMNS])
