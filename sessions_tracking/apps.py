"""Start-up of sessions_tracking."""

from django.apps import AppConfig
from django.core.checks import register


class SessionsTrackingConfig(AppConfig):
    """Connect receivers and register checks."""

    name = "sessions_tracking"
    verbose_name = "Sessions"
    default_auto_field = "django.db.models.BigAutoField"
    tables_decide = True
    role_permissions = {
        "security officer": ["view_session", "end_session"],
        "auditor": ["view_session"],
        "support": ["view_session", "end_session"],
    }

    def ready(self) -> None:
        """Wire the app; runs once, after every app's models are loaded."""
        from django.apps import apps
        from django.contrib.auth import get_user_model
        from django.contrib.auth.signals import user_logged_in, user_logged_out
        from django.db.models.signals import pre_delete

        from garrison.events import security_event
        from sessions_tracking import checks, receivers

        register(checks.check_signing_keys)
        register(checks.check_blacklist_absent)
        register(checks.check_middleware)
        user_logged_in.connect(receivers.begin_cookie_session, dispatch_uid="sessions.begin_cookie")
        user_logged_out.connect(receivers.end_cookie_session, dispatch_uid="sessions.end_cookie")
        for model in apps.get_models():
            if issubclass(model, get_user_model()):  # proxies send the signal as themselves
                pre_delete.connect(
                    receivers.end_sessions_of_deleted, sender=model, dispatch_uid="sessions.deleted"
                )
        security_event.connect(receivers.end_refused_family, dispatch_uid="sessions.end_refused")
