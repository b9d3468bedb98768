"""Start-up of backups."""

from django.apps import AppConfig


class BackupsConfig(AppConfig):
    """Connect receivers and register checks."""

    name = "backups"
    verbose_name = "Backups"
