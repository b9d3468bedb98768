"""Asking the policy, through Django's seam, so that a host's own validators are asked too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.views.decorators.debug import sensitive_variables

from accounts.errors import PasswordRejected
from garrison.errors import FieldError

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


@sensitive_variables("password")
def reasons_against(password: str, *, user: AbstractBaseUser | None) -> list[FieldError]:
    """Return each reason of every validator in ``AUTH_PASSWORD_VALIDATORS``: a code, a sentence."""
    try:
        validate_password(password, user=user)  # type: ignore[arg-type]  # of any user model
    except ValidationError as refused:
        return [_as_field_error(error) for error in refused.error_list]
    return []


@sensitive_variables("password")
def require_accepted(password: str, *, user: AbstractBaseUser | None) -> None:
    """Raise :class:`~accounts.errors.PasswordRejected` with every reason, where there is one."""
    errors = reasons_against(password, user=user)
    if errors:
        raise PasswordRejected(errors=errors)


def _as_field_error(error: Any) -> FieldError:
    return FieldError(code=error.code or "invalid", message=" ".join(error.messages))
