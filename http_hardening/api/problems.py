"""DRF's exceptions in the form of RFC 9457; named by ``HTTP_HARDENING_API_EXCEPTION_HANDLER``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions
from rest_framework.fields import get_error_detail
from rest_framework.views import set_rollback

from garrison.errors import FieldError, Refusal
from http_hardening.answers import problem_answer, refusal_answer
from http_hardening.errors import BodyTooLarge, BodyUnreadable
from http_hardening.outages import logged_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.http import HttpResponse, JsonResponse

# The codes that are documented, where DRF's own (``default_code``) differ from them.
CODES = {
    "error": "",  # the status has a better one
    "parse_error": "invalid_body",
    "authentication_failed": "not_authenticated",
    "throttled": "rate_limited",
}
# What Django's own code raises inside a view.
REFUSALS: Mapping[type[Exception], type[Refusal]] = {
    RequestDataTooBig: BodyTooLarge,
    UnreadablePostError: BodyUnreadable,
}
STATUSES: Mapping[type[Exception], int] = {
    Http404: 404,
    DjangoPermissionDenied: 403,
    SuspiciousOperation: 400,
}
LONGEST_DETAIL = 500  # characters; a detail may quote what was sent


def exception_handler(exception: Exception, where: Mapping[str, Any]) -> HttpResponse | None:
    """Answer what a client can be told; anything else stays an error of ours (500) and is logged.

    The transaction of the request is rolled back, as by DRF's own handler. A 401 names the scheme
    by which to sign in, as RFC 9110 asks. A lost database is a 503, and logged here.
    """
    request = where["request"]
    answer = _answer(exception) or logged_answer(request._request, exception)
    if answer is None:
        return None
    set_rollback()
    if answer.status_code == 401:
        challenge = where["view"].get_authenticate_header(request)
        answer.headers["WWW-Authenticate"] = challenge or 'Bearer realm="api"'
    return answer


def _answer(exception: Exception) -> JsonResponse | None:
    if isinstance(exception, Refusal):
        return refusal_answer(exception)
    if isinstance(exception, DjangoValidationError):
        return _invalid(get_error_detail(exception))
    if isinstance(exception, exceptions.ValidationError):
        return _invalid(exception.detail)
    if isinstance(exception, exceptions.APIException):
        return _api(exception)
    for kind, refusal in REFUSALS.items():
        if isinstance(exception, kind):
            return refusal_answer(refusal())
    status = next((s for kind, s in STATUSES.items() if isinstance(exception, kind)), None)
    return None if status is None else problem_answer(status=status)


def _api(exception: exceptions.APIException) -> JsonResponse:
    code = CODES.get(exception.default_code, exception.default_code)
    detail = exception.detail if isinstance(exception.detail, str) else ""
    wait = getattr(exception, "wait", None)
    return problem_answer(
        status=exception.status_code,
        code=code if exception.status_code < 500 else "",
        detail=detail[:LONGEST_DETAIL],
        retry_after_seconds=None if wait is None else max(1, round(wait)),
    )


def _invalid(detail: Any) -> JsonResponse:
    return problem_answer(
        status=400,
        code="validation_failed",
        title="The request is not valid",
        detail="One or more fields are not valid; see errors.",
        errors=list(field_errors(detail)),
    )


def field_errors(detail: Any, path: str = "") -> Iterator[FieldError]:
    """Lay DRF's tree of errors out as a list, with paths such as ``items.0.name``."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            is_whole = name == "non_field_errors"
            yield from field_errors(inner, path if is_whole else f"{path}.{name}".strip("."))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            is_item = isinstance(inner, dict | list)
            yield from field_errors(inner, f"{path}.{index}".strip(".") if is_item else path)
    else:
        code = getattr(detail, "code", None) or "invalid"
        yield FieldError(code=code, message=str(detail)[:LONGEST_DETAIL], field=path or None)
