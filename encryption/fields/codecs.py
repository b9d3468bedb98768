"""Clear values as bytes and back, by the type of the field that is wrapped. Never pickle.

A codec answers for one family of fields; a field of any other family is written as the JSON of
what ``get_prep_value`` returns, and read by its ``to_python``.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import models
from django.utils import timezone
from django.utils.dateparse import parse_duration
from django.utils.duration import duration_iso_string

if TYPE_CHECKING:
    from collections.abc import Callable

    AnyField = models.Field[Any, Any]


class Codec(NamedTuple):
    """Turns a clear value of one field into bytes and back, as the field's own column would.

    ``encode`` raises any exception for a value of the wrong type, and ``decode`` for bytes.
    """

    encode: Callable[[AnyField, Any], bytes]
    decode: Callable[[AnyField, bytes], Any]


def _encode_text(field: AnyField, value: Any) -> bytes:
    return str(field.get_prep_value(value)).encode()


def _encode_bytes(field: AnyField, value: Any) -> bytes:  # noqa: ARG001
    if isinstance(value, str | int):
        raise TypeError
    return bytes(value)


def _encode_json(field: AnyField, value: Any) -> bytes:
    encoder = getattr(field, "encoder", None)
    return json.dumps(value, cls=encoder, separators=(",", ":"), ensure_ascii=False).encode()


def _decode_json(field: AnyField, stored: bytes) -> Any:
    return json.loads(stored, cls=getattr(field, "decoder", None))


def _encode_plain(field: AnyField, value: Any) -> bytes:
    return _canonical(field.get_prep_value(value)).encode("ascii")


def _canonical(value: Any) -> str:
    """Write a number, boolean, date, duration or UUID as one text, exact to the last digit."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, dt.datetime) and timezone.is_aware(value):
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return duration_iso_string(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int | decimal.Decimal | uuid.UUID):
        return str(value)
    raise TypeError


def _decode_plain(field: AnyField, stored: bytes) -> Any:
    text = stored.decode("ascii")
    if isinstance(field, models.DurationField):
        return parse_duration(text)
    if isinstance(field, models.BooleanField):
        return text == "1"
    if isinstance(field, models.FloatField):
        return float(text)
    return field.to_python(text)


def _encode_other(field: AnyField, value: Any) -> bytes:
    prepared = field.get_prep_value(value)
    if isinstance(prepared, bytes | memoryview):
        prepared = {"b64": base64.b64encode(prepared).decode()}
    return json.dumps(prepared, separators=(",", ":"), allow_nan=False).encode()


def _decode_other(field: AnyField, stored: bytes) -> Any:
    prepared = json.loads(stored)
    if isinstance(prepared, dict) and set(prepared) == {"b64"}:
        prepared = base64.b64decode(prepared["b64"])
    return field.to_python(prepared)


TEXT = Codec(_encode_text, lambda _field, stored: stored.decode())
_BINARY = Codec(_encode_bytes, lambda _field, stored: stored)
_JSON = Codec(_encode_json, _decode_json)
_PLAIN = Codec(_encode_plain, _decode_plain)
_OTHER = Codec(_encode_other, _decode_other)

_PLAIN_FIELDS = (
    models.BooleanField,
    models.DateField,  # and DateTimeField
    models.DecimalField,
    models.DurationField,
    models.FloatField,
    models.IntegerField,  # and every size of it
    models.TimeField,
    models.UUIDField,
)
_TEXT_FIELDS = (models.CharField, models.TextField)  # and e-mail, slug, URL, listed integers


def codec_for(field: AnyField) -> Codec:
    """Choose by class, so that a subclass of a known field is stored like its parent."""
    if isinstance(field, models.JSONField):
        return _JSON
    if isinstance(field, models.BinaryField):
        return _BINARY
    if isinstance(field, _TEXT_FIELDS) and not hasattr(field, "from_db_value"):
        return TEXT
    return _PLAIN if isinstance(field, _PLAIN_FIELDS) else _OTHER
