"""Start-up of accounts."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Connect receivers and register checks."""

    name = "accounts"
    verbose_name = "Accounts"
    default_auto_field = "django.db.models.BigAutoField"
