"""The parser that DRF reads JSON bodies with."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from django.core.exceptions import RequestDataTooBig
from django.http import UnreadablePostError
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser

from http_hardening import strict_json
from http_hardening.conf import settings
from http_hardening.errors import BodyTooLarge, BodyUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping


class StrictJSONParser(BaseParser):
    """Read a JSON object of at most ``HTTP_HARDENING_LONGEST_BODY_BYTES``, strictly.

    Whatever is wrong is a :class:`~http_hardening.errors.BadRequest` with a code of its own; a
    character set other than UTF-8 is a 415.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002 - DRF's signature
    ) -> dict[str, Any]:
        """Read the body once; never more of it than is allowed."""
        _require_utf8(media_type or "")
        body = _read(stream, settings.longest_body_bytes)
        return strict_json.read_object(body, deepest_nesting=settings.deepest_nesting)


def _read(stream: IO[Any], longest_bytes: int) -> bytes:
    try:
        # One byte more tells a body of the full length from a longer one.
        body: bytes = stream.read(longest_bytes + 1)
    except RequestDataTooBig:
        raise BodyTooLarge(_too_large(longest_bytes)) from None
    except UnreadablePostError:
        raise BodyUnreadable("The connection broke before the body was complete.") from None
    if len(body) > longest_bytes:
        raise BodyTooLarge(_too_large(longest_bytes))
    return body


def _too_large(longest_bytes: int) -> str:
    return f"The body is longer than {longest_bytes} bytes."


def _require_utf8(media_type: str) -> None:
    for parameter in media_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip(' "').lower() not in {"utf-8", "utf8"}:
            raise UnsupportedMediaType(media_type)
