"""The error responses and headers of the OpenAPI document, each described once.

Every operation refers to them; what an operation refuses in a way of its own is added to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rest_framework import serializers

from garrison.errors import PROBLEM_JSON, Refusal, problem
from http_hardening.answers import TITLES
from http_hardening.codes import error_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

REQUEST_ID = "0b1f4e0c9d5a4c1e8f7a6b5c4d3e2f10"


class Shared(NamedTuple):
    """A response component: its name, its sentence, and the headers beside the usual ones."""

    name: str
    sentence: str
    headers: tuple[str, ...] = ()


RESPONSES = {
    400: Shared("BadRequest", "The body or the query is not valid: see code and errors."),
    401: Shared("Unauthorized", "Not signed in, or the session ended.", ("WWW-Authenticate",)),
    403: Shared("Forbidden", "Signed in, and not allowed, or to be confirmed by a fresh sign-in."),
    404: Shared("NotFound", "There is nothing of that name."),
    406: Shared("NotAcceptable", "Accept names nothing that is answered here."),
    409: Shared("Conflict", "The present state does not allow it."),
    411: Shared("LengthRequired", "The body is sent without Content-Length."),
    413: Shared("ContentTooLarge", "The body is longer than the site reads."),
    415: Shared("UnsupportedMediaType", "The body is not UTF-8 JSON."),
    429: Shared("TooManyRequests", "Too many requests or failures.", ("Retry-After",)),
    500: Shared("InternalServerError", "An error of the site's own; quote the request id."),
    503: Shared("ServiceUnavailable", "Busy, or a part is down.", ("Retry-After",)),
}
EVERYWHERE = ("X-Request-ID", "RateLimit", "RateLimit-Policy")
HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "Names the request in the site's logs.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,64}$"},
        "example": REQUEST_ID,
    },
    "RateLimit": {
        "description": "What is left: r requests in t seconds (draft-ietf-httpapi-ratelimit).",
        "schema": {"type": "string"},
        "example": '"api";r=99;t=900',
    },
    "RateLimit-Policy": {
        "description": "The limit: q requests in w seconds.",
        "schema": {"type": "string"},
        "example": '"api";q=100;w=900',
    },
    "Retry-After": {
        "description": "Seconds to wait.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
        "example": "30",
    },
    "WWW-Authenticate": {
        "description": "The scheme by which to sign in (RFC 9110).",
        "required": True,
        "schema": {"type": "string"},
        "example": 'Bearer realm="api"',
    },
}


class FieldErrorSerializer(serializers.Serializer[Any]):
    """One reason out of several."""

    code = serializers.CharField(help_text="Stable, lower_snake.")
    message = serializers.CharField()
    field = serializers.CharField(required=False, help_text="A path such as items.0.name.")


class ProblemSerializer(serializers.Serializer[Any]):
    """An error in the form of RFC 9457."""

    type = serializers.RegexField(r"^urn:garrison:problem:[a-z0-9_]+$")
    title = serializers.CharField()
    status = serializers.IntegerField(min_value=400, max_value=599)
    detail = serializers.CharField()
    code = serializers.CharField()
    request_id = serializers.CharField(help_text="Also in X-Request-ID; quote it when you ask.")
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]  # a field

    def get_fields(self) -> dict[str, Any]:
        """List the codes that there are."""
        titles = {each.code: each.title for each in error_codes()}
        code = serializers.ChoiceField(choices=list(titles.items()), help_text="Decide by this.")
        return super().get_fields() | {"code": code}


def response(
    status: int, *, schema: dict[str, str], refusals: Sequence[type[Refusal]] = ()
) -> dict[str, Any]:
    """Describe the answer of a status, with an example as it is really answered."""
    shared = RESPONSES[status]
    own = "".join(f"\n* `{each.code}`: {each.title}." for each in refusals)
    code, title = TITLES.get(status, ("", ""))
    if refusals:
        code, title = refusals[0].code, refusals[0].title
    example = problem(
        code=code, status=status, title=title, detail=f"{title}.", request_id=REQUEST_ID
    )
    return {
        "description": f"{shared.sentence}{own}",
        "headers": header_refs(*shared.headers),
        "content": {PROBLEM_JSON: {"schema": schema, "example": example}},
    }


def header_refs(*more: str) -> dict[str, dict[str, str]]:
    """Return references to the headers of every answer, and to some more."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*EVERYWHERE, *more)}
