"""Addresses that only the tests of cookie sessions mount."""

from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from garrison import context
from sessions_tracking import services


def who(request):
    return JsonResponse({"user": str(request.user), "session": context.current().session_id})


def ignore(request):
    return HttpResponse("nobody asked who you are")


async def who_async(request):
    return JsonResponse({"user": str(await request.auser())})


def fresh(request):
    services.require_fresh_request(request)
    return HttpResponse("fresh")


@csrf_exempt
@transaction.atomic
def rotate_atomically(request):
    services.rotate(refresh_token=request.POST["refresh"])
    return HttpResponse("rotated")


urlpatterns = [
    path("rotate-atomically", rotate_atomically),
    path("who", who),
    path("who-async", who_async),
    path("ignore", ignore),
    path("private", login_required(who)),
    path("fresh", fresh),
    path("admin/", admin.site.urls),
    path("api/", include("sessions_tracking.api.urls")),
]
