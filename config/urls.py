"""Where everything is mounted."""

from django.contrib import admin
from django.urls import include, path

from sessions_tracking.api.views import jwks

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("sessions_tracking.api.urls")),
    path(".well-known/jwks.json", jwks, name="jwks"),
]
