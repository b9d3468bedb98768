"""Start-up of encryption."""

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_delete, post_migrate


class EncryptionConfig(AppConfig):
    """Connect receivers and register checks."""

    name = "encryption"
    verbose_name = "Encryption"
    default_auto_field = "django.db.models.BigAutoField"
    tables_decide = True
    role_permissions = {
        role: ["view_keyversion", "view_rotation", "view_decryptionfailurecount", *more]
        for role, more in {
            "security officer": ["view_subjectkey"],
            "auditor": ["view_subjectkey"],
            "operator": [],
        }.items()
    }

    def ready(self) -> None:
        """Wire the app; runs once, after every app's models are loaded."""
        from django.apps import apps
        from django.contrib.auth import get_user_model

        from encryption import checks, events, receivers
        from garrison.events import listener, security_event

        register(checks.check_keys)
        register(checks.check_passphrase, deploy=True)
        register(checks.check_blind_indexes)
        register(checks.check_subjects)
        register(checks.check_admin)
        register(checks.check_versions, Tags.database)
        security_event.connect(
            listener(receivers.count_failure, kinds=[events.DECRYPTION_FAILED.name]),
            weak=False,
            dispatch_uid="encryption.count_failure",
        )
        if apps.is_installed("django.contrib.auth"):
            for model in apps.get_models():
                if issubclass(model, get_user_model()):
                    post_delete.connect(
                        receivers.erase_deleted, sender=model, dispatch_uid="encryption.deleted"
                    )
        post_migrate.connect(
            receivers.adopt_keys, sender=self, dispatch_uid="encryption.adopt_keys"
        )
