"""Where security_monitoring answers; mounted at the root, its health first of all."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from security_monitoring import views

app_name = "security_monitoring"

urlpatterns = [
    path("health", views.alive, name="alive"),
    path("health/ready", views.ready, name="ready"),
    path("favicon.ico", views.favicon, name="favicon"),
    path(
        "admin/dashboard",
        admin.site.admin_view(views.fresh_dashboard),
        name="dashboard",
    ),
]
