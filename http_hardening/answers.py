"""Errors as answers: problem+json to a program, a plain page to a person. No DRF in here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers

from garrison import context
from garrison.errors import PROBLEM_JSON, RETRY_AFTER_SECONDS, FieldError, Refusal, problem
from http_hardening.conf import settings
from http_hardening.headers import NOTHING_LOADS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest, HttpResponseBase

PAGE = "text/html"
FORMS = (PAGE, PROBLEM_JSON, "application/json")  # a page, as Django does, for who takes anything
OWN_STYLE = f"{NOTHING_LOADS}; style-src 'self'; img-src 'self'; font-src 'self'"
TITLES = {
    400: ("bad_request", "The request cannot be read"),
    401: ("not_authenticated", "You are not signed in"),
    403: ("permission_denied", "You may not do this"),
    404: ("not_found", "There is nothing here"),
    405: ("method_not_allowed", "This method is not allowed here"),
    406: ("not_acceptable", "There is no answer in the form you accept"),
    411: ("length_required", "The body's length must be told"),
    413: ("body_too_large", "The body is too large"),
    415: ("unsupported_media_type", "This kind of content is not read here"),
    429: ("rate_limited", "Too many requests"),
    500: ("internal_error", "Something went wrong on our side"),
    503: ("unavailable", "The service is unavailable"),
}
"""The code and title of each status that has no more particular one."""


def wants_json(request: HttpRequest) -> bool:
    """Return whether the caller is a program: by the path, or because it prefers JSON to HTML."""
    return _is_api(request) or request.get_preferred_type(FORMS) != PAGE


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith(tuple(settings.api_prefixes))


def problem_answer(  # noqa: PLR0913 - the members of RFC 9457, by keyword
    *,
    status: int,
    code: str = "",
    title: str = "",
    detail: str = "",
    errors: Sequence[FieldError] = (),
    retry_after_seconds: int | None = None,
) -> JsonResponse:
    """Answer with a problem, for no cache; what is left out is filled in from the status."""
    usual_code, usual_title = TITLES.get(status, TITLES[400 if status < 500 else 500])
    body: dict[str, Any] = problem(
        code=code or usual_code,
        status=status,
        title=title or usual_title,
        detail=detail or title or f"{usual_title}.",
        request_id=context.current().request_id,
        errors=errors,
    )
    answer = JsonResponse(body, status=status, content_type=PROBLEM_JSON)
    answer.headers["Cache-Control"] = "no-store"
    if retry_after_seconds is None and status == 503:
        retry_after_seconds = RETRY_AFTER_SECONDS
    if retry_after_seconds is not None:
        answer.headers["Retry-After"] = str(retry_after_seconds)
    return answer


def refusal_answer(refusal: Refusal) -> JsonResponse:
    """Answer a refusal of any app."""
    return problem_answer(
        status=refusal.status,
        code=refusal.code,
        title=refusal.title,
        detail=refusal.detail,
        errors=refusal.errors,
        retry_after_seconds=refusal.retry_after_seconds,
    )


def page_answer(*, status: int, detail: str = "") -> HttpResponse:
    """Answer a person: the title, a sentence, and the id to ask about; no script.

    The app's own page has no style either; a host that overrides it may use its own files.
    """
    _, title = TITLES.get(status, TITLES[500])
    known = {
        "title": title,
        "detail": detail,
        "status": status,
        "request_id": context.current().request_id,
    }
    # Without the request: a context processor that fails must not turn an error into a worse one.
    page = render_to_string("http_hardening/error.html", known)
    headers = {"Content-Security-Policy": OWN_STYLE, "Cache-Control": "no-store"}
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return HttpResponse(page, status=status, headers=headers)


def answer(request: HttpRequest, *, status: int, code: str = "", detail: str = "") -> HttpResponse:
    """Answer an error in the form the caller reads."""
    response: HttpResponse
    if wants_json(request):
        response = problem_answer(status=status, code=code, detail=detail)
    else:
        response = page_answer(status=status, detail=detail)
    if not _is_api(request):
        patch_vary_headers(response, ["Accept"])
    return response


def complete(request: HttpRequest, response: HttpResponseBase) -> None:
    """Give Django's 405, which is empty, the body of an error; ``Allow`` stays."""
    if not isinstance(response, HttpResponseNotAllowed) or response.content:
        return
    told = answer(request, status=response.status_code)
    response.content = told.content
    for name, value in told.items():
        response.headers[name] = value
    response.headers["Content-Length"] = str(len(told.content))
