"""Clear values as bytes and back, by the type of the field that is wrapped. Never pickle.

A codec answers for one family of fields; a field of any other family is written as the JSON of
what ``get_prep_value`` gives, and read by its ``to_python``.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import uuid
from typing import TYPE_CHECKING, Any, Protocol

from django.db import models
from django.utils import timezone
from django.utils.dateparse import parse_duration
from django.utils.duration import duration_iso_string

if TYPE_CHECKING:
    AnyField = models.Field[Any, Any]


class Codec(Protocol):
    """Turns a clear value of one field into bytes and back."""

    def encode(self, field: AnyField, value: Any) -> bytes:
        """Return the bytes to encrypt; a value of the wrong type raises any exception."""

    def decode(self, field: AnyField, stored: bytes) -> Any:
        """Return the clear value back, as the wrapped field's own column would."""


class TextCodec:
    """Text of every kind: UTF-8."""

    def encode(self, field: AnyField, value: Any) -> bytes:
        """Encode what the field makes of the value."""
        return str(field.get_prep_value(value)).encode()

    def decode(self, field: AnyField, stored: bytes) -> str:  # noqa: ARG002
        """Decode."""
        return stored.decode()


class BinaryCodec:
    """Bytes as they are."""

    def encode(self, field: AnyField, value: Any) -> bytes:  # noqa: ARG002
        """Copy."""
        if isinstance(value, str | int):
            raise TypeError
        return bytes(value)

    def decode(self, field: AnyField, stored: bytes) -> bytes:  # noqa: ARG002
        """Return them."""
        return stored


class JSONCodec:
    """A JSONField's value, through its own encoder and decoder."""

    def encode(self, field: AnyField, value: Any) -> bytes:
        """Dump without spaces."""
        encoder = getattr(field, "encoder", None)
        return json.dumps(value, cls=encoder, separators=(",", ":"), ensure_ascii=False).encode()

    def decode(self, field: AnyField, stored: bytes) -> Any:
        """Load."""
        return json.loads(stored, cls=getattr(field, "decoder", None))


class PlainCodec:
    """Numbers, booleans, dates, durations, UUIDs: one short text each, exact to the last digit."""

    def encode(self, field: AnyField, value: Any) -> bytes:
        """Write the canonical text."""
        return _text(field.get_prep_value(value)).encode("ascii")

    def decode(self, field: AnyField, stored: bytes) -> Any:
        """Let the field read its text."""
        text = stored.decode("ascii")
        if isinstance(field, models.DurationField):
            return parse_duration(text)
        if isinstance(field, models.BooleanField):
            return text == "1"
        if isinstance(field, models.FloatField):
            return float(text)
        return field.to_python(text)


def _text(value: Any) -> str:
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


class FallbackCodec:
    """A field nobody here knows: JSON of its prepared value, read back by its ``to_python``."""

    def encode(self, field: AnyField, value: Any) -> bytes:
        """Dump; what JSON cannot say raises."""
        prepared = field.get_prep_value(value)
        if isinstance(prepared, bytes | memoryview):
            prepared = {"b64": base64.b64encode(prepared).decode()}
        return json.dumps(prepared, separators=(",", ":"), allow_nan=False).encode()

    def decode(self, field: AnyField, stored: bytes) -> Any:
        """Load."""
        prepared = json.loads(stored)
        if isinstance(prepared, dict) and set(prepared) == {"b64"}:
            prepared = base64.b64decode(prepared["b64"])
        return field.to_python(prepared)


_PLAIN = (
    models.BooleanField,
    models.DateField,  # and DateTimeField
    models.DecimalField,
    models.DurationField,
    models.FloatField,
    models.IntegerField,  # and every size of it
    models.TimeField,
    models.UUIDField,
)
_TEXT = (models.CharField, models.TextField)  # and e-mail, slug, URL, comma-separated integers


def codec_for(field: AnyField) -> Codec:
    """Choose by class, so that a subclass of a known field is stored like its parent."""
    if isinstance(field, models.JSONField):
        return JSONCodec()
    if isinstance(field, models.BinaryField):
        return BinaryCodec()
    if isinstance(field, _TEXT) and not hasattr(field, "from_db_value"):
        return TextCodec()
    if isinstance(field, _PLAIN):
        return PlainCodec()
    return FallbackCodec()
