"""People who sign in."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.fields import EmailAddressField
from accounts.login_name import acceptable, fold

LONGEST_NAME = 150  # characters


def validate_printable(text: str) -> None:
    """Refuse control characters, NUL among them, and invisible direction marks."""
    if not text.isprintable():
        raise ValidationError(
            "Control characters are not allowed; use letters, digits, blanks and punctuation.",
            code="control_characters",
        )


class UserManager(BaseUserManager["User"]):
    """Create users, and find them by address in any spelling."""

    def get_by_natural_key(self, username: str | None) -> User:
        """Find a user by address; one that nobody can have is not looked up at all."""
        return self._with_address(username).get()

    async def aget_by_natural_key(self, username: str | None) -> User:
        """Find a user by address, asynchronously."""
        return await self._with_address(username).aget()

    def _with_address(self, username: str | None) -> models.QuerySet[User]:
        address = acceptable(username or "")
        return self.none() if address is None else self.filter(email=address)

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Create a user; without a password none will ever match."""
        user = self.model(email=fold(email), **fields)
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
    email = EmailAddressField(
        "e-mail address",
        unique=True,
        validators=[validate_printable],
        error_messages={"unique": "There is an account with this address already."},
    )
    name = models.CharField(max_length=LONGEST_NAME, blank=True, validators=[validate_printable])
    email_verified_at = models.DateTimeField("address verified", null=True, blank=True)
    is_staff = models.BooleanField(
        "staff", default=False, help_text="May sign in to the administration."
    )
    is_active = models.BooleanField(
        "active", default=True, help_text="Turn off to deactivate, instead of deleting."
    )
    joined_at = models.DateTimeField("joined", default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        """Swappable, so that a host keeps its own user model."""

        swappable = "AUTH_USER_MODEL"
        verbose_name = "user"
        constraints = [
            # What is written past the ORM still cannot make a second account of one address.
            models.UniqueConstraint(
                Lower("email"),
                name="accounts_user_one_per_address",
                violation_error_message="There is an account with this address already.",
            ),
            models.CheckConstraint(condition=~models.Q(email=""), name="accounts_user_has_address"),
        ]

    @property
    def is_email_verified(self) -> bool:
        """Return whether the person proved that they read mail at this address."""
        return self.email_verified_at is not None

    def get_full_name(self) -> str:
        """Return the name, or the address where there is none."""
        return self.name or self.email

    def get_short_name(self) -> str:
        """Return the first word of the name, or the address where there is none."""
        return self.name.split(" ", 1)[0] or self.email

    def clean(self) -> None:
        """Fold the address."""
        self.email = fold(self.email)
