"""The description of the API, public like the API's address is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csp.decorators import csp_update
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import conditional_page, require_safe

from http_hardening.api.schema import MEDIA_TYPE, document
from http_hardening.api.strict_view import PublicAPIView

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request

KEPT_SECONDS = 300


class SchemaView(PublicAPIView):
    """The OpenAPI document, as JSON (which every reader of YAML reads too)."""

    schema = None  # it does not describe itself

    @method_decorator(cache_control(public=True, max_age=KEPT_SECONDS))
    @method_decorator(conditional_page)
    def get(self, request: Request) -> HttpResponse:  # noqa: ARG002 - DRF's signature
        """Return the document; a client that has it gets 304."""
        return HttpResponse(document(), content_type=MEDIA_TYPE)


# The icons of Swagger UI's style sheet are data: images, which run nothing.
@csp_update({"img-src": "data:"})
@csrf_exempt  # so that another method is a 405; nothing is changed here
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Show the document to a person."""
    return render(request, "http_hardening/api_docs.html")
