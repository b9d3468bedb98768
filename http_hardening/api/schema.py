"""The OpenAPI document: drf-spectacular's, with the errors that every operation may answer.

Name :class:`ProblemAutoSchema` in ``REST_FRAMEWORK["DEFAULT_SCHEMA_CLASS"]``.
"""

# drf-spectacular types its classes and not its calls.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import json
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

from garrison.errors import PROBLEM_JSON

if TYPE_CHECKING:
    from collections.abc import Iterator

MEDIA_TYPE = "application/vnd.oai.openapi+json"
READS_A_BODY = frozenset({"POST", "PUT", "PATCH"})


class FieldErrorSerializer(serializers.Serializer[Any]):
    """One reason out of several."""

    code = serializers.CharField(help_text="Stable, lower_snake.")
    message = serializers.CharField()
    field = serializers.CharField(required=False, help_text="A path such as items.0.name.")


class ProblemSerializer(serializers.Serializer[Any]):
    """An error in the form of RFC 9457."""

    type = serializers.CharField(help_text="urn:garrison:problem:<code>")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField(help_text="Stable, lower_snake: decide by this.")
    request_id = serializers.CharField(help_text="Also in X-Request-ID; tell it when you ask.")
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]  # a field


class ProblemAutoSchema(AutoSchema):
    """Document problem+json for the statuses that the house itself answers with."""

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status, description in self._problems():
            problem = OpenApiResponse(ProblemSerializer, description=description)
            bodies.setdefault(
                status, self._get_response_for_code(problem, status, [PROBLEM_JSON], direction)
            )
        return bodies

    def _map_response_type_hint(self, method: Any) -> Any:
        """Read the type that a method gives, whatever else its signature names.

        drf-spectacular evaluates every annotation, and fails on the ones that are imported for type
        checkers only.
        """
        function = getattr(method, "__func__", method)
        hints = getattr(function, "__annotations__", {})
        if hints.keys() > {"return"}:
            bare = FunctionType(function.__code__, function.__globals__, function.__name__)
            bare.__annotations__ = {"return": hints["return"]}
            bare.__doc__ = function.__doc__
            bare.__dict__.update(function.__dict__)  # what @extend_schema_field has left there
            return super()._map_response_type_hint(bare)
        return super()._map_response_type_hint(method)

    def _problems(self) -> Iterator[tuple[str, str]]:
        if self.method in READS_A_BODY:
            yield "400", "The body is not valid: see code, and errors for the fields."
            yield "415", "The body is no UTF-8 JSON."
        if self.view.authentication_classes:
            yield "401", "Not signed in, or the session has ended."
            yield "403", "Signed in, and not allowed."
        if "{" in self.path:
            yield "404", "There is nothing of that name."
        if getattr(self.view, "throttle_scope", "") is not None and self.view.throttle_classes:
            yield "429", "Too many requests; Retry-After says when to come back."
        yield "default", "Any other error has this form too."


def document() -> bytes:
    """Get the document as JSON: worked out once a process, for it cannot change while it runs."""
    return _document(str(django_settings.ROOT_URLCONF))


@lru_cache(maxsize=4)
def _document(urlconf: str) -> bytes:
    schema = SchemaGenerator(urlconf=urlconf).get_schema(request=None, public=True)
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":")).encode()
