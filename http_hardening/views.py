"""Where browsers report violations of the content security policy to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from http_hardening import reports

if TYPE_CHECKING:
    from django.http import HttpRequest


@csrf_exempt  # a browser reports without a form and without a cookie
@require_POST
def csp_report(request: HttpRequest) -> HttpResponse:
    """Take a report; the answer is 204 whatever it holds, for nobody reads it."""
    try:
        body = request.read(reports.LONGEST_BODY_BYTES + 1)
    except UnreadablePostError:
        return HttpResponse(status=204)
    if len(body) <= reports.LONGEST_BODY_BYTES:
        reports.record(reports.read(body))
    return HttpResponse(status=204)
