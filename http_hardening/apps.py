"""Start-up of http_hardening."""

from django.apps import AppConfig
from django.core.checks import register


class HttpHardeningConfig(AppConfig):
    """Declare the events and register the checks."""

    name = "http_hardening"
    verbose_name = "HTTP hardening"
    rate_limits = {"reports": ["60/h address"]}
    rate_limited_views = {"csp-report": "reports"}

    def ready(self) -> None:
        """Run once, after every app's models are loaded."""
        from http_hardening import checks, events  # noqa: F401 - importing declares the kinds

        register(checks.check_policy)
        register(checks.check_middleware)
        register(checks.check_templates)
        register(checks.check_api)
