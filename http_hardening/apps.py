"""Start-up of http_hardening."""

from django.apps import AppConfig


class HttpHardeningConfig(AppConfig):
    """Connect receivers and register checks."""

    name = "http_hardening"
    verbose_name = "HTTP hardening"
