"""A site of the tests' own: one API view of each kind, a function view, and the admin."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpResponse, JsonResponse
from django.urls import path
from rest_framework.parsers import JSONParser
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from http_hardening.api.strict_view import StrictAPIView
from rate_limiting.decorators import rate_limited
from rate_limiting.throttles import ScopedThrottle


class Nobody(BasePermission):
    def has_permission(self, request, view):
        return False


class View(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (ScopedThrottle,)


class Read(View):
    def get(self, request):
        return Response({"ok": True})


class Login(View):
    throttle_scope = "auth"
    throttle_refunds_success = True
    parser_classes = (JSONParser,)

    def post(self, request):
        if request.data["password"] == "right":
            return Response({"access": "…"})
        return Response({"code": "invalid_credentials"}, status=401)


class Register(View):
    throttle_scope = "auth"

    def post(self, request):
        return Response(status=202)


class Guarded(StrictAPIView):
    throttle_scope = "exports"

    def get(self, request):
        return Response({"ok": True})


class GuardedAuth(StrictAPIView):
    throttle_scope = "auth"

    def post(self, request):
        return Response({"ok": True})


class ForNobody(StrictAPIView):
    permission_classes = (IsAuthenticated, Nobody)

    def get(self, request):
        return Response({"ok": True})


class Uncounted(View):
    throttle_scope = None

    def get(self, request):
        return Response({"ok": True})


@rate_limited(scope="exports")
def export(request):
    return HttpResponse("a,b")


@rate_limited(scope="exports", methods=["POST"])
async def export_async(request):
    return JsonResponse({"ok": True})


urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/read", Read.as_view(), name="read"),
    path("api/login", Login.as_view(), name="login"),
    path("api/register", Register.as_view(), name="register"),
    path("api/uncounted", Uncounted.as_view(), name="uncounted"),
    path("api/guarded", Guarded.as_view(), name="guarded"),
    path("api/guarded-auth", GuardedAuth.as_view(), name="guarded-auth"),
    path("api/for-nobody", ForNobody.as_view(), name="for-nobody"),
    path("export", export, name="export"),
    path("export-async", export_async, name="export-async"),
]
