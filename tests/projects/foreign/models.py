"""A user model that shares nothing with ours: an integer key, a name to sign in with."""

from django.contrib.auth.models import AbstractUser


class Person(AbstractUser):
    """Somebody of the host."""
