"""Start-up of security_monitoring."""

from django.apps import AppConfig


class SecurityMonitoringConfig(AppConfig):
    """Connect receivers and register checks."""

    name = "security_monitoring"
    verbose_name = "Security monitoring"
