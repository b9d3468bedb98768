"""A site of the tests' own: an API view of each kind, pages, and the admin."""

from __future__ import annotations

from hashlib import sha256

from django.contrib import admin
from django.core.exceptions import PermissionDenied, SuspiciousOperation, ValidationError
from django.core.files.uploadedfile import InMemoryUploadedFile
from django.http import Http404, HttpResponse, HttpResponseNotModified, JsonResponse
from django.template import engines
from django.urls import include, path
from django.views.decorators.cache import cache_control
from django.views.decorators.clickjacking import xframe_options_exempt
from rest_framework import exceptions, serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from garrison.errors import FieldError, Refusal
from http_hardening.api.operations import operation
from http_hardening.api.parsers import StrictMultiPartParser
from http_hardening.api.serializers import PasswordField, StrictSerializer
from http_hardening.api.strict_view import PublicAPIView, StrictAPIView

handler400 = "http_hardening.handlers.bad_request"
handler403 = "http_hardening.handlers.permission_denied"
handler404 = "http_hardening.handlers.not_found"
handler500 = "http_hardening.handlers.internal_error"


class Locked(Refusal):
    code = "locked_out"
    status = 429
    title = "Locked"


class Unsigned(Refusal):
    code = "token_invalid"
    status = 401
    title = "The token is not valid"


class Busy(Refusal):
    code = "busy"
    status = 503
    title = "Busy"


class OwnError(exceptions.APIException):
    status_code = 409
    default_detail = "In use."
    default_code = "in_use"


RAISED = {
    "refusal": lambda: Locked("Wait.", retry_after_seconds=7, errors=[FieldError("c", "m", "f")]),
    "unsigned": Unsigned,
    "busy": Busy,
    "parse": lambda: exceptions.ParseError("broken"),
    "own": OwnError,
    "throttled": lambda: exceptions.Throttled(wait=0.2),
    "not-acceptable": exceptions.NotAcceptable,
    "404": lambda: Http404("secret path"),
    "403": lambda: PermissionDenied("secret reason"),
    "suspicious": lambda: SuspiciousOperation("secret detail"),
    "django-invalid": lambda: ValidationError({"name": ["Too odd."]}),
    "nested-invalid": lambda: exceptions.ValidationError(
        {"items": [{}, {"name": ["bad"]}], "non_field_errors": ["all of it"]}
    ),
    "bug": lambda: RuntimeError("secret cause"),
    "drf-500": exceptions.APIException,
}


class Anyone(PublicAPIView):
    throttle_classes = ()


class Anything(serializers.Serializer):
    def to_representation(self, value):
        return value


class Item(StrictSerializer):
    name = serializers.CharField(max_length=50)


class Everything(StrictSerializer):
    text = serializers.CharField(max_length=50, required=False, allow_null=True)
    password = PasswordField(required=False)
    count = serializers.IntegerField(required=False)
    share = serializers.FloatField(required=False)
    price = serializers.DecimalField(max_digits=5, decimal_places=2, required=False)
    flag = serializers.BooleanField(required=False)
    at = serializers.DateTimeField(required=False)
    key = serializers.UUIDField(required=False)
    choice = serializers.ChoiceField(choices=["a", "1"], required=False)
    several = serializers.MultipleChoiceField(choices=["a", "b"], required=False)
    numbers = serializers.ListField(child=serializers.IntegerField(), required=False)
    table = serializers.DictField(required=False)
    item = Item(required=False)
    items = Item(many=True, required=False)
    anything = serializers.JSONField(required=False)
    made = serializers.CharField(read_only=True)


class Echo(Anyone):
    def post(self, request):
        given = Everything(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(given.validated_data)


class UploadInput(StrictSerializer):
    note = serializers.CharField(required=False)
    file = serializers.FileField(required=False, allow_empty_file=True)
    more = serializers.FileField(required=False)


class TwoFiles(StrictMultiPartParser):
    most_files = 2
    longest_field_bytes = 1000


class Upload(Anyone):
    parser_classes = (TwoFiles,)

    @operation(body=UploadInput, status=201, returns=Anything)
    def post(self, **given):
        files = [file for file in given.values() if not isinstance(file, str)]
        return {
            "note": given.get("note"),
            "files": [
                [f.name, f.content_type, f.size, sha256(f.read()).hexdigest()] for f in files
            ],
            "in_memory": [isinstance(f, InMemoryUploadedFile) for f in files],
        }


class Raises(Anyone):
    def get(self, request, what):
        exception = RAISED[what]()
        raise exception


class Tokens(BaseAuthentication):
    def authenticate(self, request):
        return None

    def authenticate_header(self, request):
        return 'Bearer realm="api"'


class Private(StrictAPIView):
    authentication_classes = (Tokens,)
    permission_classes = (IsAuthenticated,)
    throttle_classes = ()

    def get(self, request):
        return Response({})


def page(request):
    text = '<script nonce="{{ csp_nonce }}">1</script>' if "nonce" in request.GET else "<p>hi</p>"
    return HttpResponse(engines["django"].from_string(text).render({}, request))


def telltale(request):
    return HttpResponse("x", headers={"Server": "secret/1", "X-Powered-By": "secret/2"})


@xframe_options_exempt
def framed(request):
    return HttpResponse("x", headers={"Content-Security-Policy": "sandbox"})


@cache_control(public=True, max_age=300)
def public(request):
    return JsonResponse({})


def unchanged(request):
    return HttpResponseNotModified()


def fails(request):
    raise RuntimeError("secret cause")


def busy(request):
    raise Busy


def own_error(request):
    return HttpResponse("gone", status=410)


def session(request):
    request.session["a"] = 1
    return HttpResponse("x", content_type="text/plain")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("http_hardening.urls")),
    path("api/echo", Echo.as_view(), name="echo"),
    path("api/raise/<what>", Raises.as_view(), name="raise"),
    path("api/upload", Upload.as_view(), name="upload"),
    path("api/private", Private.as_view(), name="private"),
    path("api/fails", fails),
    path("api/public", public),
    path("page", page),
    path("telltale", telltale),
    path("framed", framed),
    path("unchanged", unchanged),
    path("fails", fails),
    path("busy", busy),
    path("own-error", own_error),
    path("session", session),
]
