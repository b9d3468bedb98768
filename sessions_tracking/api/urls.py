"""Addresses, relative to ``api/``."""

from django.urls import path

from sessions_tracking.api import schema, views  # noqa: F401 - schema registers itself

app_name = "sessions_tracking"

urlpatterns = [
    path("auth/refresh", views.RefreshView.as_view(), name="refresh"),
    path("auth/logout", views.LogoutView.as_view(), name="logout"),
    path("sessions", views.SessionListView.as_view(), name="sessions"),
    path("sessions/logout-all", views.LogoutAllView.as_view(), name="logout-all"),
    path("sessions/<uuid:session_id>", views.SessionView.as_view(), name="session"),
]
