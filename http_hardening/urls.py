"""URLs of http_hardening, mounted at the root of the site."""

from __future__ import annotations

from django.urls import path

from http_hardening.views import csp_report

urlpatterns = [path("csp-report", csp_report, name="csp-report")]
