"""placeholder"""

from django.contrib.auth.backends import ModelBackend


class AccountsBackend(ModelBackend):
    """Grows."""
