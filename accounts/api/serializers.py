"""What goes in and comes out; anything else in a body is refused."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from accounts.api.trusted_devices import DeviceTokenField
from accounts.api.typed import AddressField, CodeField, NameField
from accounts.login_name import LONGEST_LOGIN_NAME
from accounts.password.generator import KINDS, LONGEST, RANDOM, SHORTEST
from accounts.sign_in import EXPIRES_AT_ATTRIBUTE
from http_hardening.api.serializers import (
    MOST_ROWS,
    PageOutput,
    PageQuery,
    PasswordField,
    QuerySerializer,
    StrictSerializer,
)
from sessions_tracking.api.serializers import TokenPairOutput

LONGEST_TOKEN = 64  # characters; ours has 43
LONGEST_METHOD = 32


class RegisterInput(StrictSerializer):
    """What a person registers with."""

    example = {
        "email": "ana@example.com",
        "password": "seven-lanterns-over-quiet-water",
        "name": "Ana",
    }

    email = AddressField()
    password = PasswordField()
    name = NameField(default="")


class VerifyEmailInput(StrictSerializer):
    """An address and the code that was mailed to it."""

    example = {"email": "ana@example.com", "code": "12345678"}

    email = AddressField()
    code = CodeField()


class ResendInput(StrictSerializer):
    """An address that waits for a code."""

    example = {"email": "ana@example.com"}

    email = AddressField()


class ChangeInput(StrictSerializer):
    """The present password, and the new one."""

    example = {
        "current_password": "seven-lanterns-over-quiet-water",
        "new_password": "eleven-bicycles-under-a-green-roof",
    }

    current_password = PasswordField()
    new_password = PasswordField()


class ResetInput(StrictSerializer):
    """An address whose owner has forgotten the password."""

    example = {"email": "ana@example.com"}

    email = AddressField()
    device_token = DeviceTokenField()


class ResetConfirmInput(VerifyEmailInput):
    """An address, the code that was mailed to it, and the new password."""

    example = {**VerifyEmailInput.example, "new_password": "seven-lanterns-over-quiet-water"}

    new_password = PasswordField()
    device_token = DeviceTokenField()


class UnlockInput(StrictSerializer):
    """A name, and the code that was mailed after the right password in a locked account."""

    example = {"email": "ana@example.com", "code": "RQ4AD-MTRKR"}

    email = serializers.CharField(max_length=LONGEST_LOGIN_NAME)
    code = CodeField()


class LoginInput(StrictSerializer):
    """A name and a password. A name that is no address is a wrong one, like any other."""

    example = {"email": "ana@example.com", "password": "seven-lanterns-over-quiet-water"}

    email = serializers.CharField(max_length=LONGEST_LOGIN_NAME)
    password = PasswordField()
    device_token = DeviceTokenField()


class StepInput(StrictSerializer):
    """The token of a half-done sign-in, and an answer by one of the methods it named."""

    example = {
        "mfa_token": "pQ8xRk2vT5nYc7WbHs4JdLm9ZaEfGu1iOo3XtNq6yBV",
        "method": "totp",
        "code": "492039",
    }

    mfa_token = serializers.CharField(max_length=LONGEST_TOKEN, write_only=True)
    method = serializers.CharField(max_length=LONGEST_METHOD)
    code = PasswordField()


class PasswordStrengthInput(StrictSerializer):
    """A password to judge before it is chosen."""

    example = {"password": "seven-lanterns-over-quiet-water", "email": "ana@example.com"}

    password = PasswordField()
    email = serializers.CharField(
        max_length=LONGEST_LOGIN_NAME, required=False, default="", allow_blank=True
    )


class GenerateQuery(QuerySerializer):
    """Which password to draw; ``length`` is in characters, and a passphrase's least."""

    kind = serializers.ChoiceField(choices=KINDS, default=RANDOM)
    length = serializers.IntegerField(min_value=SHORTEST, max_value=LONGEST, default=SHORTEST)


class ProfileInput(StrictSerializer):
    """What people may change of their own account."""

    example = {"name": "Ana"}

    name = NameField(required=False)


class HistoryQuery(PageQuery):
    """Which page of the history."""

    limit = serializers.IntegerField(min_value=1, max_value=MOST_ROWS, default=20)


class ReasonOutput(serializers.Serializer[Any]):
    """One reason for which a password is refused."""

    code = serializers.CharField()
    message = serializers.CharField()


class GeneratedOutput(serializers.Serializer[Any]):
    """A password that is stored nowhere."""

    password = serializers.CharField()


class StrengthOutput(serializers.Serializer[Any]):
    """How hard a password is to guess, and whether it would be accepted."""

    score = serializers.IntegerField(min_value=0, max_value=4)
    crack_time = serializers.CharField()
    feedback = serializers.ListField(child=serializers.CharField())
    accepted = serializers.BooleanField()
    errors = ReasonOutput(many=True)  # type: ignore[assignment]  # a field, and an attribute


class ProfileOutput(serializers.Serializer[Any]):
    """A person's own account, of whatever user model."""

    id = serializers.CharField(source="pk")
    email = serializers.SerializerMethodField()
    name = serializers.SerializerMethodField()
    email_verified = serializers.SerializerMethodField()
    is_staff = serializers.BooleanField(default=False, read_only=True)
    joined_at = serializers.SerializerMethodField()
    last_login = serializers.DateTimeField(default=None, allow_null=True, read_only=True)

    def get_email(self, user: Any) -> str:
        """Return the address."""
        return str(getattr(user, user.get_email_field_name(), "") or "")

    def get_name(self, user: Any) -> str:
        """Return the name, as far as one is known."""
        if hasattr(user, "name"):
            return str(user.name)
        return str(getattr(user, "get_full_name", str)())

    def get_email_verified(self, user: Any) -> bool:
        """Return whether the address was proved; a model that does not ask takes it as proved."""
        return bool(getattr(user, "is_email_verified", True))

    def get_joined_at(self, user: Any) -> str | None:
        """Return when the account was made, where its model knows."""
        at = getattr(user, "joined_at", None) or getattr(user, "date_joined", None)
        return serializers.DateTimeField().to_representation(at) if at else None


class LoginOutput(TokenPairOutput):
    """The tokens of a new session, with how long each is good for in seconds, and whose it is.

    ``device_token`` is a secret to be kept; sent with the next sign-in, it makes the device a
    trusted one.
    """

    device_token = serializers.CharField()
    user = ProfileOutput(source="session.user")
    password_expires_at = serializers.DateTimeField(
        source=f"session.user.{EXPIRES_AT_ATTRIBUTE}",
        required=False,
        help_text="When the password has to be replaced, where that is soon.",
    )


class StepOutput(serializers.Serializer[Any]):
    """The password was right, and a step asks for more by one of ``methods``."""

    mfa_required = serializers.BooleanField(default=True)
    mfa_token = serializers.CharField(source="token")
    methods = serializers.ListField(child=serializers.CharField())
    reason = serializers.CharField(
        source="why",
        required=False,
        help_text="Why a new password is asked for: `password_expired`, `password_breached`.",
    )


SIGN_IN_OUTPUT = PolymorphicProxySerializer(
    component_name="SignInResult",
    serializers=[LoginOutput, StepOutput],
    resource_type_field_name=None,
)


class SignInOutput(serializers.Serializer[Any]):
    """One sign-in that succeeded or failed, as its owner sees it."""

    at = serializers.DateTimeField()
    outcome = serializers.CharField()
    ip = serializers.CharField(allow_null=True)
    location = serializers.CharField()
    device = serializers.CharField(source="user_agent")
    reason = serializers.SerializerMethodField()

    def get_reason(self, event: Any) -> str | None:
        """Report why it failed; nothing for a success."""
        reason = event.data.get("reason")
        return str(reason) if reason else None


class HistoryOutput(PageOutput):
    """A page of the history."""

    results = SignInOutput(many=True)
