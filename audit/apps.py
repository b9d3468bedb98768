"""Start-up of audit."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Connect receivers and register checks."""

    name = "audit"
    verbose_name = "Audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what is said."""
        from audit import receivers

        receivers.connect()
