"""Start-up of rate_limiting."""

from django.apps import AppConfig
from django.core.checks import register

from rate_limiting.conf import DEFAULT_LIMITS


class RateLimitingConfig(AppConfig):
    """Declare the events and register the checks."""

    name = "rate_limiting"
    verbose_name = "Rate limiting"
    rate_limits = DEFAULT_LIMITS
    rate_limited_views = {"admin:login": "auth"}

    def ready(self) -> None:
        """Run once, after every app's models are loaded."""
        from rate_limiting import checks, events  # noqa: F401 - importing declares the kinds

        register(checks.check_cache)
        register(checks.check_scopes)
        register(checks.check_keys)
        register(checks.check_middleware)
