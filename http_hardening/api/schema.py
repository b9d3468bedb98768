"""The OpenAPI document: drf-spectacular's, with the errors that every operation may answer.

:class:`ProblemAutoSchema` reads it off the operations of a :class:`StrictAPIView`.
"""

# drf-spectacular types its classes and not its calls.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

from garrison.conf import remembered
from garrison.errors import PROBLEM_JSON
from http_hardening.api.operations import READS_A_BODY
from http_hardening.api.serializers import PageOutput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from http_hardening.api.operations import Operation

MEDIA_TYPE = "application/vnd.oai.openapi+json"


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
    """Describe a view's operation, and problem+json for what the house itself answers with."""

    def get_request_serializer(self) -> Any:
        """Return what is read from the body."""
        operation = self._operation()
        return operation.body if operation else super().get_request_serializer()

    def get_override_parameters(self) -> list[Any]:
        """Return what is read from the query."""
        operation = self._operation()
        return [operation.query] if operation and operation.query else []

    def get_response_serializers(self) -> Any:
        """Return what each status answers."""
        operation = self._operation()
        if operation is None:
            return super().get_response_serializers()
        returns = operation.returns
        if isinstance(returns, type):
            returns = returns(many=operation.many)
        problems = {
            (status, PROBLEM_JSON): OpenApiResponse(ProblemSerializer, description=description)
            for status, description in self._problems(operation)
        }
        return {str(operation.status): returns, **problems}

    def get_operation_id(self) -> str:
        """Call what answers several rows a list."""
        name = super().get_operation_id()
        operation = self._operation()
        returns = operation and operation.returns
        is_page = isinstance(returns, type) and issubclass(returns, PageOutput)
        is_list = is_page or (operation and operation.many)
        return f"{name.removesuffix('retrieve')}list" if is_list else name

    def get_auth(self) -> list[Any]:
        """Name no way in where none is looked at."""
        return super().get_auth() if self.view.authentication_classes else []

    def _operation(self) -> Operation | None:
        method = getattr(self.view, self.method.lower(), None)
        return getattr(method, "operation", None)

    def _problems(self, operation: Operation) -> Iterator[tuple[str, str]]:
        if self.method in READS_A_BODY:
            yield "400", "The body is not valid: see code, and errors for the fields."
            yield "415", "The body is no UTF-8 JSON."
        elif operation.query:
            yield "400", "The query parameters are not valid: see errors."
        if self.view.authentication_classes:
            yield "401", "Not signed in, or the session has ended."
            yield "403", "Signed in, and not allowed."
        if "{" in self.path:
            yield "404", "There is nothing of that name."
        if getattr(self.view, "throttle_scope", "") is not None and self.view.throttle_classes:
            yield "429", "Too many requests; Retry-After says when to come back."
        yield "default", "Any other error has this form too."


@remembered("ROOT_URLCONF")
def document() -> bytes:
    """Return the document as JSON: made once a process, for it cannot change while it runs."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":")).encode()
