"""Start-up of rate_limiting."""

from django.apps import AppConfig


class RateLimitingConfig(AppConfig):
    """Connect receivers and register checks."""

    name = "rate_limiting"
    verbose_name = "Rate limiting"
