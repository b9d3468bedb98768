"""Reading events as texts, quickly: the columns of :data:`audit.sealing.encoding.FIELDS`."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

from audit.sealing.encoding import FIELDS, canonical_data, instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

AT, DATA = FIELDS.index("at"), FIELDS.index("data")
# The server writes texts faster than Python; instants as :func:`~audit.sealing.encoding.instant`.
_INSTANT = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')"""
SHOWN_OF_KEY = 60  # characters
_AS_TEXT = {
    "id": "e.id::text",
    "severity": "e.severity::text",
    "at": _INSTANT.format("e.at"),
    "data": "e.data::text",
}


def columns(connection: BaseDatabaseWrapper, *, attested: bool = True) -> str:
    """Return the columns to select from ``audit_securityevent e``, one for each field.

    By ``+`` an instant loses its declared type on SQLite, for which Django's converter would raise.

    A database of before migration 0004 is not ``attested``.
    """
    texts = dict(_AS_TEXT) if connection.vendor == "postgresql" else {"at": "+e.at"}
    if not attested:
        texts["attestation"] = "NULL"
    return ", ".join(texts.get(field, f"e.{field}") for field in FIELDS)


def has_key(connection: BaseDatabaseWrapper, table: str = "e") -> str:
    """Return the condition that an event has a key as events have: SQLite keeps anything there."""
    if connection.vendor != "sqlite":
        return "TRUE"
    key = f"{table}.id"
    return f"(typeof({key}) = 'text' AND length({key}) = 32 AND {key} NOT GLOB '*[^0-9a-f]*')"


def without_key(connection: BaseDatabaseWrapper, *, after: uuid.UUID, most: int) -> list[str]:
    """Return what stands for a key, as Python writes it, in rows that can have no seal."""
    if connection.vendor != "sqlite":
        return []
    with cursor(connection) as opened:
        opened.execute(
            "SELECT e.id FROM audit_securityevent e "  # noqa: S608 - a condition of ours
            f"WHERE e.id >= %s AND NOT {has_key(connection)} ORDER BY e.id LIMIT %s",
            [key_for(connection, after) if after.int else "", most],
        )
        return [repr(key)[:SHOWN_OF_KEY] for (key,) in opened.fetchall()]


@contextmanager
def cursor(connection: BaseDatabaseWrapper) -> Iterator[CursorWrapper]:
    """Open a cursor that reads whatever text stands there."""
    with any_text(connection), connection.cursor() as opened:
        yield opened


@contextmanager
def any_text(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Read texts that are no UTF-8 too, which SQLite keeps."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    connection.connection.text_factory = _text
    try:
        yield
    finally:
        connection.connection.text_factory = str


def _text(stored: bytes) -> str:
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return f"not UTF-8: {stored.decode('utf-8', 'backslashreplace')}"


def instant_column(connection: BaseDatabaseWrapper, column: str) -> str:
    """Return an instant as text, where the server can write it."""
    return _INSTANT.format(column) if connection.vendor == "postgresql" else f"+{column}"


def as_texts(row: Sequence[Any], connection: BaseDatabaseWrapper) -> list[str | None]:
    """Turn one row of :func:`columns` into what is sealed."""
    texts = list(row)
    if connection.vendor != "postgresql":
        return _from_sqlite(texts)
    if texts[DATA] is not None:
        texts[DATA] = canonical_data(texts[DATA])
    return texts


def _from_sqlite(row: list[Any]) -> list[str | None]:
    texts = [None if value is None else str(value) for value in row]
    texts[0] = key_text(texts[0])
    if texts[AT] is not None:
        texts[AT] = written(texts[AT])
    if texts[DATA] is not None:
        texts[DATA] = canonical_data(texts[DATA])
    return texts


def key_text(text: str | None) -> str | None:
    """Write a key with its dashes, which SQLite leaves out."""
    try:
        return str(uuid.UUID(text))
    except (ValueError, TypeError):
        return text


def read_instant(value: Any) -> datetime | None:
    """Return an instant as either database keeps it; ``None`` for what is none."""
    try:
        at = value if isinstance(value, datetime) else parse_datetime(str(value))
        return at and (make_aware(at, UTC) if is_naive(at) else at.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def written(value: Any) -> str:
    """Return an instant as it is sealed, in whatever form the database gave it."""
    if isinstance(value, str) and "T" in value:
        return value
    at = read_instant(value)
    return instant(at) if at else str(value)


def as_bytes(value: Any) -> bytes:
    """Return the bytes of a column, also where somebody put something else there."""
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def key_for(connection: BaseDatabaseWrapper, key: uuid.UUID) -> Any:
    """Return a key as a parameter of SQL."""
    return key if connection.features.has_native_uuid_field else key.hex
