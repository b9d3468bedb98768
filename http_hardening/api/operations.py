"""A view's method as one operation: what it takes, what it answers, and nothing in between.

::

    class ChangeView(StrictAPIView):
        @operation(body=ChangeInput)
        def post(self, **given: str) -> None:
            services.change_password(user=self.request.user, **given)

The request is read strictly, the method is called with what was read, and what it returns is
written by its serializer. :class:`~http_hardening.api.schema.ProblemAutoSchema` describes the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.views.decorators.debug import sensitive_variables
from rest_framework.response import Response

from http_hardening.api.serializers import QuerySerializer, StrictSerializer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rest_framework.request import Request
    from rest_framework.serializers import BaseSerializer
    from rest_framework.views import APIView

    from garrison.errors import Refusal

Method = TypeVar("Method", bound="Callable[..., Any]")

READS_A_BODY = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class Operation:
    """What a method takes and answers; ``many`` where it answers a plain list.

    ``returns`` may be anything that drf-spectacular can describe, where the method answers a
    ``Response`` of its own: one of several shapes, for example. ``refuses`` names what the method
    itself may raise; what every operation may answer is described with all of them.
    """

    body: type[BaseSerializer[Any]] | None
    query: type[QuerySerializer] | None
    returns: Any
    many: bool
    status: int
    refuses: tuple[type[Refusal], ...]


def operation(  # noqa: PLR0913 - what an operation is, by keyword
    *,
    body: type[BaseSerializer[Any]] | None = None,
    query: type[QuerySerializer] | None = None,
    returns: Any = None,
    many: bool = False,
    status: int | None = None,
    refuses: tuple[type[Refusal], ...] = (),
) -> Callable[[Method], Method]:
    """Make a method an operation; it is called with the path's values and the validated fields.

    Query parameters and fields that are not declared are refused; without ``body`` a body must be
    empty. The status is 200, or 204 where nothing is returned. Local variables are left out of
    error reports where there is a body: it may hold a secret.
    """
    described = Operation(body, query, returns, many, status or (200 if returns else 204), refuses)

    def decorate(method: Method) -> Method:
        @wraps(method)
        def handler(view: APIView, request: Request, *args: Any, **kwargs: Any) -> Response:
            if query or request._request.META.get("QUERY_STRING"):
                kwargs |= (query or QuerySerializer).read(request.query_params)
            if request.method in READS_A_BODY:
                given = (body or StrictSerializer)(data=request.data)
                given.is_valid(raise_exception=True)
                kwargs |= given.validated_data
            result = method(view, *args, **kwargs)
            if isinstance(result, Response):
                return result
            shown = returns and returns(result, many=many, context={"request": request}).data
            return Response(shown, status=described.status)

        handler.operation = described  # type: ignore[attr-defined]  # for the schema
        return cast("Method", sensitive_variables()(handler) if body else handler)

    return decorate
