"""Start-up of sessions_tracking."""

from django.apps import AppConfig


class SessionsTrackingConfig(AppConfig):
    """Connect receivers and register checks."""

    name = "sessions_tracking"
    verbose_name = "Sessions"
