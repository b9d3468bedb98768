"""Start-up of backups."""

from django.apps import AppConfig
from django.core.checks import register


class BackupsConfig(AppConfig):
    """Register the checks; everything else is called by a command, the API, the admin or a task."""

    name = "backups"
    verbose_name = "Backups"
    default_auto_field = "django.db.models.BigAutoField"
    tables_decide = True
    role_permissions = {
        "security officer": ["view_backup", "view_drill"],
        "auditor": ["view_backup", "view_drill"],
        "operator": ["view_backup", "view_drill", "add_backup", "verify_backup", "drill_backup"],
    }

    def ready(self) -> None:
        """Register the checks and declare the event kinds."""
        from backups import checks, events  # noqa: F401 - importing events declares its kinds

        register(checks.check_recipients)
        register(checks.check_databases)
        register(checks.check_targets)
        register(checks.check_identity, deploy=True)
        register(checks.check_signers)
