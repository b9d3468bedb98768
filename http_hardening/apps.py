"""Start-up of http_hardening."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_out
from django.core.checks import register
from django.core.signals import request_started


class HttpHardeningConfig(AppConfig):
    """Declare the events and register the checks."""

    name = "http_hardening"
    verbose_name = "HTTP hardening"
    rate_limits = {"reports": ["60/h address"]}
    rate_limited_views = {"csp-report": "reports"}

    def ready(self) -> None:
        """Run once, after every app's models are loaded."""
        from http_hardening import checks, events, outages, receivers  # noqa: F401 - importing declares the kinds

        request_started.connect(
            outages.drop_lost_connections, dispatch_uid="http_hardening.drop_lost_connections"
        )
        user_logged_out.connect(
            receivers.clear_site_data, dispatch_uid="http_hardening.clear_site_data"
        )
        register(checks.check_policy)
        register(checks.check_middleware)
        register(checks.check_templates)
        register(checks.check_api)
