"""Forms for people who work in the administration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.admin.forms import AdminPasswordChangeForm as AdminOwnPasswordForm
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm
from django.contrib.auth.forms import UserChangeForm as DjangoUserChangeForm
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import events
from accounts.attempt import target_of
from accounts.backends import refusal_of
from accounts.errors import CurrentPasswordWrong, EmailUnverified, HashingBusy, LockedOut
from accounts.models import User
from accounts.password.rules import LONGEST_PASSWORD
from accounts.services import prove_password, set_own_password
from garrison.events import emit
from sessions_tracking.services import end_sessions

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from accounts.errors import AccountRefusal

TOLD = (LockedOut, EmailUnverified, HashingBusy)


class SignInForm(AdminAuthenticationForm):
    """The admin's login form: it says how long a lock lasts, and reads no more than it must."""

    password = forms.CharField(
        label="Password",
        strip=False,
        max_length=LONGEST_PASSWORD,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def get_invalid_login_error(self) -> ValidationError:
        """Report what was refused, where that may be told; else the one sentence for all."""
        refusal = refusal_of(self.request)
        if isinstance(refusal, TOLD):
            return ValidationError(_sentence(refusal), code=refusal.code)
        return super().get_invalid_login_error()


def _sentence(refusal: AccountRefusal) -> str:
    wait = refusal.retry_after_seconds
    if wait is None:
        return f"{refusal.title}."
    if wait <= 60:
        return f"{refusal.title}. Try again in {wait} seconds."
    return f"{refusal.title}. Try again in {math.ceil(wait / 60)} minutes."


class OwnPasswordForm(AdminOwnPasswordForm):
    """The admin's form for one's own password: guesses count, and other sessions end."""

    def clean_old_password(self) -> str:
        """Prove the present password where sign-ins are counted."""
        password: str = self.cleaned_data["old_password"]
        try:
            self.proved = prove_password(user=self.user, password=password)
        except (CurrentPasswordWrong, *TOLD) as refusal:
            raise ValidationError(_sentence(refusal), code=refusal.code) from None
        return password

    def save(self, commit: bool = True) -> User:  # noqa: ARG002, FBT001, FBT002 - Django's
        """Set the password; the browser that asks stays signed in."""
        set_own_password(proved=self.proved, new_password=self.cleaned_data["new_password1"])
        self.user.password = self.proved.password
        return self.user


class UserCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]  # only in the stubs
    """What staff fill in for a new account."""

    class Meta:
        """Django's own names ``username``; this model has none."""

        model = User
        fields = ("email", "name")


class UserChangeForm(DjangoUserChangeForm):  # type: ignore[type-arg]  # only in the stubs
    """What staff may change of an account."""

    class Meta:
        """Every field; the admin decides which are shown and which are read-only."""

        model = User
        fields = "__all__"


class PasswordByStaffForm(AdminPasswordChangeForm):  # type: ignore[type-arg]
    """A password set by staff: its sessions end, and who set it is told."""

    def save(self, commit: bool = True) -> AbstractBaseUser:  # noqa: FBT001, FBT002 - Django's
        """Set the password, end the account's sessions, tell; all of it or nothing."""
        with transaction.atomic():
            user: AbstractBaseUser = super().save(commit)
            end_sessions(user=user, reason="password_set_by_staff")
            emit(events.PASSWORD_SET_BY_STAFF, target=target_of(user))
        return user
