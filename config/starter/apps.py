"""Start-up of the starter's app, which exists for its management command."""

from django.apps import AppConfig


class StarterConfig(AppConfig):
    """Brings ``manage.py generate_keys``."""

    name = "config.starter"
    label = "starter"
    verbose_name = "Starter"
