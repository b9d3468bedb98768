"""Start-up of audit."""

from django.apps import AppConfig
from django.core.checks import Tags, register


class AuditConfig(AppConfig):
    """Connect receivers and register checks."""

    name = "audit"
    verbose_name = "Audit"
    default_auto_field = "django.db.models.BigAutoField"
    tables_decide = True
    role_permissions = {
        "security officer": ["view_securityevent"],
        "auditor": ["view_securityevent"],
        "operator": ["view_securityevent"],  # health and the dashboard
    }

    def ready(self) -> None:
        """Listen to what is said, and register the checks."""
        from audit import checks, receivers, sign_ins
        from audit.sealing import loop

        receivers.connect()
        sign_ins.connect()
        loop.seal_beside_beat()
        register(checks.check_failure_policy, deploy=True)
        register(checks.check_triggers, Tags.database)
        register(checks.check_keys)
        register(checks.check_own_keys, deploy=True)
        register(checks.check_copies, deploy=True)
