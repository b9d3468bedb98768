"""Answers for machines that ask whether this server serves, and the dashboard's fresh part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from garrison import health
from garrison.errors import RETRY_AFTER_SECONDS
from security_monitoring import dashboard

if TYPE_CHECKING:
    from django.http import HttpRequest


@csrf_exempt  # so that another method is a 405; nothing is changed here
@require_safe
@never_cache
def alive(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view's signature
    """Report that the process answers; no I/O, so that a slow database restarts nobody."""
    return JsonResponse({"status": "alive"})


@csrf_exempt  # so that another method is a 405; nothing is changed here
@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view's signature
    """Report whether requests can be served: 200, or 503 where something they need is missing.

    Names and states only: whoever asks is unknown, and details are for staff.
    """
    results = health.run(only_needed_to_serve=True)
    status = health.worst(results)
    checks = [{"name": result.name, "status": result.status} for result in results]
    body = {"status": status, "checks": checks}
    if status is not health.Status.UNHEALTHY:
        return JsonResponse(body)
    return JsonResponse(body, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


@csrf_exempt  # so that another method is a 405; nothing is changed here
@require_safe
@never_cache
def fresh_dashboard(request: HttpRequest) -> HttpResponse:
    """Return the dashboard without the page around it; for ``dashboard.js``, and staff only.

    A page polls this every half minute, so nothing here writes.
    """
    return render(request, "security_monitoring/dashboard.html", dashboard.build(request))


@csrf_exempt
@require_safe
def favicon(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view's signature
    """Send browsers that ask for ``/favicon.ico`` to the mark."""
    return HttpResponseRedirect(staticfiles_storage.url("security_monitoring/favicon.svg"))
