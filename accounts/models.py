"""People who sign in."""

from __future__ import annotations

import unicodedata
import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.utils import timezone

LONGEST_EMAIL = 254  # characters, RFC 5321


def normalize_email(email: str) -> str:
    """Fold an address so that one person has one spelling: NFKC, case-folded, no outer blanks."""
    return unicodedata.normalize("NFKC", email).casefold().strip()


class UserManager(BaseUserManager["User"]):
    """Create users, and find them by folded address."""

    def get_by_natural_key(self, username: str | None) -> User:
        """Find a user by address in any spelling."""
        return self.get(email=normalize_email(username or ""))

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Create a user; without a password none will ever match."""
        user = self.model(email=normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Create an administrator whose address counts as verified."""
        fields = {
            "is_staff": True,
            "is_superuser": True,
            "email_verified_at": timezone.now(),
        } | fields
        return self.create_user(email, password, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """Somebody who signs in with an e-mail address."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(max_length=LONGEST_EMAIL, unique=True)
    name = models.CharField(max_length=150, blank=True)
    email_verified_at = models.DateTimeField(null=True, blank=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    joined_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        """Swappable, so that a host keeps its own user model."""

        swappable = "AUTH_USER_MODEL"

    def clean(self) -> None:
        """Fold the address."""
        self.email = normalize_email(self.email)
