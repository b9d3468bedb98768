"""The addresses of a host with stock REST framework settings."""

from django.urls import include, path

urlpatterns = [
    path("api/auth/", include("accounts.api.urls")),
    path("api/", include("sessions_tracking.api.urls")),
    path("api/", include("backups.api.urls")),
    path("api/security/", include("security_monitoring.api.urls")),
]
