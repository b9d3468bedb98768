"""URLs of the description, mounted at ``api/``."""

from __future__ import annotations

from django.urls import path

from http_hardening.api.views import SchemaView, docs

urlpatterns = [
    path("schema", SchemaView.as_view(), name="api-schema"),
    path("docs", docs, name="api-docs"),
]
