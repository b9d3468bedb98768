"""Reading events as texts, quickly: the columns of :data:`audit.sealing.encoding.FIELDS`."""

from __future__ import annotations

import uuid
from datetime import UTC
from typing import TYPE_CHECKING, Any

from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

from audit.sealing.encoding import FIELDS, canonical_data, instant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.backends.base.base import BaseDatabaseWrapper

AT, IP, DATA = FIELDS.index("at"), FIELDS.index("ip"), FIELDS.index("data")
_AS_TEXT = {"id": "e.id::text", "severity": "e.severity::text", "data": "e.data::text"}


def columns(connection: BaseDatabaseWrapper) -> str:
    """Give the columns to select from ``audit_securityevent e``, one for each field."""
    texts = _AS_TEXT if connection.vendor == "postgresql" else {}
    return ", ".join(texts.get(field, f"e.{field}") for field in FIELDS)


def as_texts(row: Sequence[Any], connection: BaseDatabaseWrapper) -> list[str | None]:
    """Turn one row of :func:`columns` into what is sealed."""
    texts = list(row)
    if connection.vendor != "postgresql":
        return _from_sqlite(texts)
    if texts[AT] is not None:
        texts[AT] = instant(texts[AT])
    if texts[DATA] is not None:
        texts[DATA] = canonical_data(texts[DATA])
    if not (texts[IP] is None or isinstance(texts[IP], str)):
        texts[IP] = str(texts[IP])
    return texts


def _from_sqlite(row: list[Any]) -> list[str | None]:
    texts = [None if value is None else str(value) for value in row]
    texts[0] = _key(texts[0])
    if texts[AT] is not None:
        at = read_instant(texts[AT])
        texts[AT] = instant(at) if at else texts[AT]
    if texts[DATA] is not None:
        texts[DATA] = canonical_data(texts[DATA])
    return texts


def _key(text: str | None) -> str | None:
    try:
        return str(uuid.UUID(text))
    except (ValueError, TypeError):
        return text


def read_instant(value: Any) -> datetime | None:
    """Give an instant as either database keeps it; ``None`` for what is none."""
    try:
        at = parse_datetime(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return make_aware(at, UTC) if at and is_naive(at) else at


def key_for(connection: BaseDatabaseWrapper, key: uuid.UUID) -> Any:
    """Give a key as a parameter of SQL."""
    return key if connection.features.has_native_uuid_field else key.hex
