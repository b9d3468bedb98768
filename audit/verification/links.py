"""Reading the chain: seals in their order, each with its event, a few thousand at a time.

Each block is a statement of its own, so memory stays flat at any length, no snapshot is held for
minutes, and a pooler between us and the database does not matter. What is read never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Max, Min

from audit.models import EventSeal
from audit.sealing import rows
from audit.sealing.encoding import KIND, OUTCOMES_OF_VERSION_1, as_sealed_by_version_1

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator
    from datetime import datetime

    from django.db.backends.base.base import BaseDatabaseWrapper

BLOCK = 5_000
EVENT = 7  # where the columns of the event begin, behind those of the seal
_LINKS = """
SELECT s.seq, s.version, s.key_id, {sealed_at}, s.prev, s.mac, {event_id}, {columns}
FROM audit_eventseal s LEFT JOIN audit_securityevent e ON e.id = s.event_id
WHERE s.stream = %s AND {which} ORDER BY s.seq LIMIT %s
"""
_EVENTS = "SELECT {columns} FROM audit_securityevent e WHERE e.id IN ({keys}) ORDER BY e.id"


class Link(NamedTuple):
    """One seal as it stands, and the texts it covers; ``None`` where the event is gone."""

    seq: int
    version: int
    key_id: str
    sealed_at: str
    prev: bytes
    mac: bytes
    event_id: str
    event: list[str | None] | None


@dataclass(slots=True)
class Reader:
    """Reads the chain of one database."""

    using: str = DEFAULT_DB_ALIAS
    _applied: frozenset[str] | None = None

    def blocks(self, stream: str, *, after: int) -> Iterator[list[Link]]:
        """Return the links behind a number, block by block."""
        while True:
            block = self._links("s.seq > %s", stream, after)
            if block:
                yield block
                after = block[-1].seq
            if len(block) < BLOCK:
                return

    def of_kind(self, stream: str, kind: object) -> list[Link]:
        """Return the first links whose events are of a kind."""
        return self._links("e.kind = %s", stream, str(kind))

    def _links(self, which: str, stream: str, value: int | str) -> list[Link]:
        connection = connections[self.using]
        key = "s.event_id::text" if connection.vendor == "postgresql" else "s.event_id"
        sealed_at = rows.instant_column(connection, "s.sealed_at")
        columns = rows.columns(connection, attested=self._has("0004_attestation"))
        sql = _LINKS.format(event_id=key, sealed_at=sealed_at, columns=columns, which=which)
        with rows.cursor(connection) as cursor:
            cursor.execute(sql, [stream, value, BLOCK])
            return [self._link(row, connection) for row in cursor.fetchall()]

    def events(self, keys: list[uuid.UUID]) -> list[list[str | None]]:
        """Return the texts of these events, in the order of their keys."""
        connection = connections[self.using]
        columns = rows.columns(connection, attested=self._has("0004_attestation"))
        sql = _EVENTS.format(columns=columns, keys=", ".join(["%s"] * len(keys)) or "NULL")
        with rows.cursor(connection) as cursor:
            cursor.execute(sql, [rows.key_for(connection, key) for key in keys])
            return [rows.as_texts(row, connection) for row in cursor.fetchall()]

    def _link(self, row: tuple[Any, ...], connection: BaseDatabaseWrapper) -> Link:
        seq, version, key_id, sealed_at, prev, mac, event_id = row[:EVENT]
        event = None
        if row[EVENT] is not None:
            event = rows.as_texts(row[EVENT:], connection)
            if (
                version == 1
                and event[KIND] in OUTCOMES_OF_VERSION_1
                and self._has("0003_outcomes_and_readers")
            ):
                event = as_sealed_by_version_1(event)
        return Link(
            seq,
            version,
            str(key_id),
            rows.written(sealed_at),
            rows.as_bytes(prev),
            rows.as_bytes(mac),
            str(event[0] if event else rows.key_text(event_id)),
            event,
        )

    def _has(self, migration: str) -> bool:
        """Return whether a migration was here; a restored copy may be older than it."""
        if self._applied is None:
            applied = MigrationRecorder(connections[self.using]).applied_migrations()
            self._applied = frozenset(name for app, name in applied if app == "audit")
        return migration in self._applied

    def ends(self, stream: str) -> tuple[int, int]:
        """Return the first and the last number of a stream; zeros where there is none."""
        seals = EventSeal.objects.using(self.using).filter(stream=stream)
        ends = seals.aggregate(first=Min("seq"), last=Max("seq"))
        return ends["first"] or 0, ends["last"] or 0

    def first_since(self, stream: str, at: datetime) -> int:
        """Return the number of the first seal made at that instant or later, by halving.

        Where there is none, the number behind the last.
        """
        seals = EventSeal.objects.using(self.using)
        first = seals.first_from(stream, lambda seal: not seal.sealed_at or seal.sealed_at >= at)
        return first.seq if first else self.ends(stream)[1] + 1
