"""The host app."""

from django.apps import AppConfig


class ForeignConfig(AppConfig):
    """A host's own people."""

    name = "tests.projects.foreign"
    label = "foreign"
    default_auto_field = "django.db.models.BigAutoField"
