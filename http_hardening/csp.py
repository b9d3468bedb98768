"""The content security policy of pages: django-csp, with a nonce where a template asks for one.

django-csp sets a policy on every answer; here only on pages, because anything else gets the
strictest one from :mod:`http_hardening.headers` at no cost. On Django 6 its own CSP middleware must
not run beside it: whichever stands further in wins, silently (``http_hardening.E001``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from csp.middleware import CSPMiddleware
from django.conf import settings as django_settings

from http_hardening.headers import is_page

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

REPORTING_GROUP = "csp"
REPORTING_PATH = "/csp-report"


class PageMiddleware(CSPMiddleware):
    """Set ``CONTENT_SECURITY_POLICY`` on pages, and say where a browser reports to."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Leave answers alone that are no pages; a 304 must not change a page already kept."""
        if not is_page(response) or response.status_code == 304:
            return response
        hardened: HttpResponseBase = super().process_response(request, response)
        if f"report-to {REPORTING_GROUP}" in hardened.headers.get("Content-Security-Policy", ""):
            hardened.headers["Reporting-Endpoints"] = f'{REPORTING_GROUP}="{REPORTING_PATH}"'
        return hardened


def nonce(request: HttpRequest) -> dict[str, Any]:
    """Return templates the nonce; a context processor.

    ``csp_nonce`` is the name that Django's admin asks for from 6.1 on, ``CSP_NONCE`` django-csp's.
    It is made when it is first written, so a page without inline parts has none in its policy.
    """
    value = getattr(request, "csp_nonce", None)
    return {} if value is None else {"csp_nonce": value, "CSP_NONCE": value}


def directives() -> dict[str, Any]:
    """Return the directives of the enforced policy as the settings have them."""
    policy = getattr(django_settings, "CONTENT_SECURITY_POLICY", None) or {}
    found: dict[str, Any] = policy.get("DIRECTIVES", {})
    return found
