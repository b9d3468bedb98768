"""Asking the policy, through Django's seam, so that a host's own validators are asked too."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.views.decorators.debug import sensitive_variables

from accounts.errors import PasswordRejected
from accounts.password.rules import Candidate
from accounts.password.strength import Strength, estimate
from garrison.errors import FieldError

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


@dataclass(frozen=True, slots=True)
class Advice(Strength):
    """An estimate, and the verdict of the policy; the password is not in it."""

    errors: list[FieldError]

    @property
    def accepted(self) -> bool:
        """Return whether the policy would take it."""
        return not self.errors


@sensitive_variables("password", "candidate")
def advise(*, password: str, email: str = "") -> Advice:
    """Judge a password before it is chosen, as it would be judged when it is set."""
    model = get_user_model()
    user = model(**{model.get_email_field_name(): email})
    strength = estimate(password, words=Candidate.of(password, user=user).words)
    return Advice(**asdict(strength), errors=reasons_against(password, user=user))


@sensitive_variables("password")
def reasons_against(password: str, *, user: AbstractBaseUser | None) -> list[FieldError]:
    """Return each reason of every validator in ``AUTH_PASSWORD_VALIDATORS``: a code, a sentence."""
    try:
        validate_password(password, user=user)  # type: ignore[arg-type]  # of any user model
    except ValidationError as refused:
        return [
            FieldError(code=error.code or "invalid", message=" ".join(error.messages))
            for error in refused.error_list
        ]
    return []


@sensitive_variables("password")
def require_accepted(password: str, *, user: AbstractBaseUser | None) -> None:
    """Raise :class:`~accounts.errors.PasswordRejected` with every reason, where there is one."""
    errors = reasons_against(password, user=user)
    if errors:
        raise PasswordRejected(errors=errors)
