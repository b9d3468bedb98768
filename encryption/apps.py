"""Start-up of encryption."""

from django.apps import AppConfig


class EncryptionConfig(AppConfig):
    """Connect receivers and register checks."""

    name = "encryption"
    verbose_name = "Encryption"
