"""Django's own errors, answered alike.

Name these in the root URLconf::

    handler400 = "http_hardening.handlers.bad_request"
    handler403 = "http_hardening.handlers.permission_denied"
    handler404 = "http_hardening.handlers.not_found"
    handler500 = "http_hardening.handlers.internal_error"

and ``CSRF_FAILURE_VIEW = "http_hardening.handlers.csrf_failure"`` in the settings: Django's own
page for it holds an inline style, which the content security policy blocks.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from django.core.exceptions import RequestDataTooBig

from http_hardening.answers import answer
from http_hardening.errors import BodyTooLarge
from http_hardening.outages import logged_answer

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400: a forged host, a broken form; or 413: a body that is too large."""
    if isinstance(exception, RequestDataTooBig):
        return answer(request, status=BodyTooLarge.status, code=BodyTooLarge.code)
    return answer(request, status=400)


def permission_denied(
    request: HttpRequest,
    exception: Exception | None = None,  # noqa: ARG001 - its text may be meant for a log
) -> HttpResponse:
    """Answer 403."""
    return answer(request, status=403)


def not_found(
    request: HttpRequest,
    exception: Exception | None = None,  # noqa: ARG001 - it lists the URL patterns
) -> HttpResponse:
    """Answer 404."""
    return answer(request, status=404)


def internal_error(request: HttpRequest) -> HttpResponse:
    """Answer 500, or 503 where the database is lost; the cause is in the log, by the request's id.

    Django calls this while the exception is handled, of a view as well as of a middleware.
    """
    return logged_answer(request, sys.exception()) or answer(
        request, status=500, detail="Tell us the request id, and we find the cause."
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - for the log
    """Answer a form that was not ours, or is too old."""
    return answer(
        request,
        status=403,
        code="csrf_failed",
        detail="The form is out of date. Go back, reload the page and send it again.",
    )
