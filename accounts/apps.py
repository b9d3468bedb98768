"""Start-up of accounts."""

from django.apps import AppConfig
from django.core.checks import register


class AccountsConfig(AppConfig):
    """Connect receivers and register checks."""

    name = "accounts"
    verbose_name = "Accounts"
    default_auto_field = "django.db.models.BigAutoField"
    tables_decide = True
    reports_sign_ins = True  # audit.sign_ins
    rate_limited_views = {"admin:password_change": "auth"}
    role_permissions = {
        "security officer": ["view_lockoutbucket", "change_lockoutbucket"],
        "auditor": ["view_lockoutbucket"],
        "support": ["view_lockoutbucket", "change_lockoutbucket"],
    }

    def ready(self) -> None:
        """Wire the app; runs once, after every app's models are loaded."""
        from django.contrib.auth import get_user_model
        from django.contrib.auth.signals import user_logged_in
        from django.db.models.signals import post_migrate

        from accounts import checks, field_permissions, privileges, receivers
        from accounts.models import User

        register(checks.check_backend)
        register(checks.check_hashers)
        register(checks.check_axes)
        register(checks.check_user_model)
        register(checks.check_admins)
        register(checks.check_mail_timeout, deploy=True)
        register(checks.check_breaches, deploy=True)
        register(checks.check_field_policy)
        privileges.connect()
        if get_user_model() is User:
            field_permissions.declare(User, personal=["name"])
        post_migrate.connect(
            field_permissions.create_permissions, dispatch_uid="accounts.create_permissions"
        )
        user_logged_in.connect(
            receivers.complete_cookie_sign_in, dispatch_uid="accounts.complete_sign_in"
        )
