"""Forms for people who work in the administration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.admin.forms import AdminPasswordChangeForm as AdminOwnPasswordForm
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm
from django.contrib.auth.forms import UserChangeForm as DjangoUserChangeForm
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import browser
from accounts.attempt import Attempt, Reason
from accounts.backends import SIGN_IN_ATTRIBUTE, complete_at_login, refusal_of
from accounts.errors import (
    AccountRefusal,
    HashingBusy,
    InvalidCredentials,
    PasswordRejected,
    SignInExpired,
    StepRequired,
)
from accounts.models import User
from accounts.password import history
from accounts.password.rules import LONGEST_PASSWORD
from accounts.services import conclude_password_set, prove_password, set_own_password
from accounts.sign_in import NEW_PASSWORD
from garrison.errors import Refusal

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

START_AGAIN = "start_again"  # the button beside the answer


class SignInForm(AdminAuthenticationForm):
    """The admin's login form: it says how long a lock lasts, and asks what the steps demand.

    Where the browser's sign-in stands half-done, its fields are ``method`` and ``answer``.
    """

    request: Any  # Django's may be None; where a sign-in stands half-done there is one
    user_cache: Any  # of whatever user model
    password = forms.CharField(
        label="Password",
        strip=False,
        max_length=LONGEST_PASSWORD,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, request: HttpRequest | None = None, **kwargs: Any) -> None:
        """Show fields for the name and the password, or for the answer to a step."""
        if request is not None and START_AGAIN in (kwargs.get("data") or ()):
            browser.forget(request)
            kwargs |= {"data": None, "files": None}  # a page to fill in, not one filled in badly
        super().__init__(request, **kwargs)
        self._credentials = self.fields
        self.methods: list[str] = []
        self.is_asked = False  # just now, and so not answered wrongly
        if "username" not in self.data:
            self._ask(browser.methods_asked(request))

    def _ask(self, methods: list[str]) -> None:
        """Show fields for an answer by a method; for name and password where there is none."""
        self.methods = methods
        self.fields = _answer_fields(methods) if methods else self._credentials

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        """Sign in, or go on with the sign-in that stands half-done."""
        if self.request is not None:
            complete_at_login(self.request)
        if not self.methods:
            return super().clean()
        if not self.errors:  # else the same question again, and nothing is spent
            try:
                self._go_on()
            except Refusal as refusal:
                raise self._error_for(refusal) from None
        return self.cleaned_data

    def _go_on(self) -> None:
        method = self.cleaned_data.get("method") or self.methods[0]
        answer = self.cleaned_data["answer"]
        self.user_cache = browser.go_on(self.request, method=method, answer=answer)
        self._ask([])
        self.confirm_login_allowed(self.user_cache)

    def confirm_login_allowed(self, user: Any) -> None:
        """Refuse whom this door is not for; the right password alone clears nothing."""
        try:
            super().confirm_login_allowed(user)
        except ValidationError:
            sign_in = getattr(user, SIGN_IN_ATTRIBUTE, None)
            if sign_in is not None:
                sign_in.fail(Reason.REFUSED)
            else:  # another backend let them in
                attempt = Attempt.of(user.get_username(), now=timezone.now())
                attempt.emit_failed(account=user, reason=Reason.REFUSED)
            raise

    def get_invalid_login_error(self) -> ValidationError:
        """Report what was refused; one sentence for unknown, wrong and inactive."""
        refusal = refusal_of(self.request)
        if refusal is None or isinstance(refusal, InvalidCredentials):
            return super().get_invalid_login_error()
        if isinstance(refusal, StepRequired):
            browser.remember(self.request, refusal)
        return self._error_for(refusal)

    def _error_for(self, refusal: Refusal) -> ValidationError:
        _require_slot(refusal)
        if isinstance(refusal, PasswordRejected):
            return _reasons(refusal)
        self.is_asked = isinstance(refusal, StepRequired)
        if isinstance(refusal, StepRequired):
            self._ask(refusal.methods)
        elif isinstance(refusal, SignInExpired):
            self._ask([])
        return ValidationError(_sentence(refusal), code=refusal.code)


def _answer_fields(methods: list[str]) -> dict[str, forms.Field]:
    names = [(method, method.replace("_", " ").capitalize()) for method in methods]
    one = len(methods) == 1
    hint = "new-password" if methods == [NEW_PASSWORD] else "one-time-code"
    return {
        "method": forms.ChoiceField(
            choices=names, required=False, widget=forms.HiddenInput if one else forms.Select
        ),
        "answer": forms.CharField(
            label=names[0][1] if one else "Answer",
            strip=False,
            max_length=LONGEST_PASSWORD,
            widget=forms.PasswordInput(attrs={"autocomplete": hint, "autofocus": True}),
        ),
    }


def _reasons(refusal: Refusal) -> ValidationError:
    """Return each reason of a refusal, or its sentence where it has none."""
    reasons = [ValidationError(each.message, code=each.code) for each in refusal.errors]
    return ValidationError(reasons or [ValidationError(_sentence(refusal), code=refusal.code)])


def _require_slot(refusal: Refusal) -> None:
    """Let a 503 leave the form: a page of status 200 would cost a place under the rate limit."""
    if isinstance(refusal, HashingBusy):
        raise refusal


def _sentence(refusal: Refusal) -> str:
    wait = refusal.retry_after_seconds
    if isinstance(refusal, StepRequired):
        return f"{refusal.detail}."
    if wait is None:
        return f"{refusal.title}."
    if wait <= 60:
        return f"{refusal.title}. Try again in {_counted(wait, 'second')}."
    return f"{refusal.title}. Try again in {_counted(math.ceil(wait / 60), 'minute')}."


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


class OwnPasswordForm(AdminOwnPasswordForm):
    """The admin's form for one's own password: guesses count, and other sessions end."""

    def clean_old_password(self) -> str:
        """Prove the present password where sign-ins are counted."""
        password: str = self.cleaned_data["old_password"]
        try:
            self.proved = prove_password(user=self.user, password=password)
        except AccountRefusal as refusal:
            _require_slot(refusal)
            raise ValidationError(_sentence(refusal), code=refusal.code) from None
        return password

    def clean(self) -> dict[str, Any]:
        """Refuse a password that was used before, once the present one is proved."""
        super().clean()
        if not self.errors:
            try:
                history.require_unused(self.cleaned_data["new_password1"], account=self.proved)
            except AccountRefusal as refusal:
                self.add_error("new_password2", _reasons(refusal))
        return self.cleaned_data

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


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A new account whose owner chooses the password, by a code that is mailed."""

    class Meta:
        """No password."""

        model = User
        fields = ("email", "name")

    def save(self, commit: bool = True) -> User:  # noqa: FBT001, FBT002 - Django's
        """Leave a password that nothing matches."""
        self.instance.set_unusable_password()
        user: User = super().save(commit)
        return user


class UserChangeForm(DjangoUserChangeForm):  # type: ignore[type-arg]  # only in the stubs
    """What staff may change of an account."""

    class Meta:
        """Every field; the admin decides which are shown and which are read-only."""

        model = User
        fields = "__all__"


class PasswordByStaffForm(AdminPasswordChangeForm):  # type: ignore[type-arg]
    """A password set by staff: its sessions end, and who set it is told."""

    def save(self, commit: bool = True) -> AbstractBaseUser:  # noqa: FBT001, FBT002 - Django's
        """Set the password, end the account's sessions, emit; all of it or nothing."""
        with transaction.atomic():
            history.keep_present(account=self.user, now=timezone.now())
            user: AbstractBaseUser = super().save(commit)
            conclude_password_set(user=user)
        return user
