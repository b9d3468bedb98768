"""The OpenAPI document: drf-spectacular's, with the errors that every operation may answer.

:class:`ProblemAutoSchema` reads it off the operations of a :class:`StrictAPIView`.
"""

# drf-spectacular types its classes and not its calls.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import json
from http import HTTPStatus
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent, force_instance
from drf_spectacular.utils import OpenApiResponse
from rest_framework.fields import CharField, IPAddressField

from garrison.conf import remembered
from http_hardening.api import responses
from http_hardening.api.operations import READS_A_BODY
from http_hardening.api.responses import ProblemSerializer
from http_hardening.api.serializers import PageOutput, QuerySerializer, StrictMixin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from garrison.errors import Refusal
    from http_hardening.api.operations import Operation

MEDIA_TYPE = "application/vnd.oai.openapi+json"
PLAIN_TEXT = {"type", "title", "description", "default", "nullable", "writeOnly", "maxLength"}
ADDRESS = {"anyOf": [{"type": "string", "format": each} for each in ("ipv4", "ipv6")]}
STATUS = attrgetter("status")
# Regular expressions of ECMA-262, as OpenAPI has them.
ANY_TEXT = r"^[^\x00]*$"
FILLED_TEXT = r"^[^\x00]*[^\s\x00][^\x00]*$"


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
        """Return what the status of success answers."""
        operation = self._operation()
        if operation is None:
            return super().get_response_serializers()
        returns = operation.returns
        if isinstance(returns, type):
            returns = returns(many=operation.many)
        description = HTTPStatus(operation.status).phrase
        return {str(operation.status): OpenApiResponse(returns, description=description)}

    def get_summary(self) -> str | None:
        """Return the first line of the method's docstring."""
        return self.get_description().partition("\n")[0].rstrip(".") or None

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

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        """Add the headers of every answer, and the errors by reference."""
        bodies = super()._get_response_bodies(direction)
        operation = self._operation()
        if operation is None:
            return bodies
        for name, header in responses.HEADERS.items():
            self._register(ResolvedComponent.HEADER, name, header)
        for body in bodies.values():
            body["headers"] = responses.header_refs()
        refused = groupby(sorted(operation.refuses, key=STATUS), key=STATUS)
        errors = dict.fromkeys(self._errors(), ()) | {s: tuple(own) for s, own in refused}
        return bodies | {
            str(status): self._error(status, errors[status]) for status in sorted(errors)
        }

    def _error(self, status: int, refusals: tuple[type[Refusal], ...]) -> dict[str, Any]:
        problem = self.resolve_serializer(ProblemSerializer, "response").ref
        described = responses.response(status, schema=problem, refusals=refusals)
        if refusals:
            return described
        name = responses.RESPONSES[status].name
        return self._register(ResolvedComponent.RESPONSE, name, described)

    def _register(self, kind: str, name: str, described: dict[str, Any]) -> dict[str, Any]:
        component = ResolvedComponent(name=name, type=kind, schema=described, object=name)
        self.registry.register_on_missing(component)
        return component.ref

    def _map_serializer(self, serializer: Any, direction: Any, *args: Any, **kwargs: Any) -> Any:
        """Add what a strict serializer refuses, and the example that a serializer has."""
        schema = super()._map_serializer(serializer, direction, *args, **kwargs)
        serializer = force_instance(serializer)
        if isinstance(serializer, StrictMixin):
            schema["additionalProperties"] = False
        if example := getattr(serializer, "example", None):
            schema["example"] = example
        return schema

    def _map_serializer_field(self, field: Any, *args: Any, **kwargs: Any) -> Any:
        """Add what text that is read must be like, where no format says so."""
        schema = super()._map_serializer_field(field, *args, **kwargs)
        if not isinstance(field.root, StrictMixin | QuerySerializer):
            return schema
        if isinstance(field, IPAddressField):
            return ADDRESS
        is_plain = isinstance(field, CharField) and schema.keys() <= PLAIN_TEXT
        return schema | _text(field) if is_plain else schema

    def _operation(self) -> Operation | None:
        method = getattr(self.view, self.method.lower(), None)
        return getattr(method, "operation", None)

    def _errors(self) -> Iterator[int]:
        yield from (400, 406, 500, 503)  # a query that is not declared is a 400 everywhere
        if self.method in READS_A_BODY:
            yield from (411, 413, 415)
        if self.view.authentication_classes:
            yield from (401, 403)
        if "{" in self.path:
            yield 404
        if getattr(self.view, "throttle_scope", "") is not None and self.view.throttle_classes:
            yield 429


def _text(field: CharField) -> dict[str, Any]:
    """Return what REST framework asks of text beside its length: something in it, and no NUL."""
    if field.allow_blank:
        return {"pattern": ANY_TEXT}
    return {"minLength": 1, "pattern": FILLED_TEXT if field.trim_whitespace else ANY_TEXT}


@remembered("ROOT_URLCONF")
def document() -> bytes:
    """Return the document as JSON: made once a process, for it cannot change while it runs."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":")).encode()
