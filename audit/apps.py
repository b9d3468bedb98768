"""Start-up of audit."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Connect receivers and register checks."""

    name = "audit"
    verbose_name = "Audit"
