"""The description of the API, public like the API's address is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from csp.decorators import csp_update
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from django.views.decorators.http import condition, require_safe
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

from http_hardening.api.schema import MEDIA_TYPE, document

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request

KEPT_SECONDS = 300


def _etag(request: HttpRequest) -> str:  # noqa: ARG001 - Django's signature
    return f'"{hashlib.sha256(document()).hexdigest()[:32]}"'


@extend_schema(exclude=True)
@method_decorator(cache_control(public=True, max_age=KEPT_SECONDS), name="dispatch")
@method_decorator(condition(etag_func=_etag), name="dispatch")
class SchemaView(APIView):
    """The OpenAPI document, as JSON (which every reader of YAML reads too)."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request) -> HttpResponse:  # noqa: ARG002 - DRF's signature
        """Return the document; a client that has it gets 304."""
        return HttpResponse(document(), content_type=MEDIA_TYPE)


# The icons of Swagger UI's style sheet are data: images, which run nothing.
@csp_update({"img-src": "data:"})
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Show the document to a person."""
    return render(request, "http_hardening/api_docs.html")
