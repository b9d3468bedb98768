"""Start-up of security_monitoring."""

from django.apps import AppConfig
from django.core.checks import register


class SecurityMonitoringConfig(AppConfig):
    """Register the checks; panels, figures and health checks are found by garrison."""

    name = "security_monitoring"
    verbose_name = "Security monitoring"
    default_auto_field = "django.db.models.BigAutoField"
    tables_decide = True

    def ready(self) -> None:
        """Register."""
        from security_monitoring import checks

        register(checks.check_templates)
        register(checks.check_kinds)
        register(checks.check_probes, deploy=True)
