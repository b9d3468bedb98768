"""Where everything is mounted."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from sessions_tracking.api.views import jwks

admin.site.site_header = admin.site.site_title = settings.SITE_NAME
admin.site.index_title = "Security"
admin.site.site_url = None  # there is no other site to view

handler400 = "http_hardening.handlers.bad_request"
handler403 = "http_hardening.handlers.permission_denied"
handler404 = "http_hardening.handlers.not_found"
handler500 = "http_hardening.handlers.internal_error"

urlpatterns = [
    path("", include("security_monitoring.urls")),
    path("", include("http_hardening.urls")),
    path("api/security/", include("security_monitoring.api.urls")),
    path("admin/", admin.site.urls),
    path("api/", include("http_hardening.api.urls")),
    path("api/auth/", include("accounts.api.urls")),
    path("api/", include("sessions_tracking.api.urls")),
    path("api/", include("backups.api.urls")),
    path(".well-known/jwks.json", jwks, name="jwks"),
]
