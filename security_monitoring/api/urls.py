"""Addresses, relative to ``api/security/``."""

from __future__ import annotations

from django.urls import path

from security_monitoring.api import views

app_name = "security_monitoring_api"

urlpatterns = [
    path("metrics", views.MetricsView.as_view(), name="metrics"),
    path("health", views.HealthView.as_view(), name="health"),
    path("events", views.EventsView.as_view(), name="events"),
]
