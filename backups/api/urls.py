"""Addresses, relative to ``api/``."""

from django.urls import path

from backups.api import views

app_name = "backups"

urlpatterns = [
    path("backups", views.BackupListView.as_view(), name="backups"),
    path("backups/<uuid:backup_id>", views.BackupView.as_view(), name="backup"),
    path("backups/<uuid:backup_id>/verify", views.VerifyView.as_view(), name="verify"),
]
