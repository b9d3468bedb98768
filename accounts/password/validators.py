"""The seam to Django's ``AUTH_PASSWORD_VALIDATORS``: the policy, wherever a password is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError

from accounts.password.rules import BREACHED, RULES, Candidate, reasons_against

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class PolicyValidator:
    """Judge a new password by every rule, and report each reason with its code."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Raise one ``ValidationError`` that holds each reason."""
        found = reasons_against(Candidate.of(password, user=user))
        if found:
            raise ValidationError(
                [ValidationError(reason.message, code=reason.code) for reason in found]
            )

    def get_help_text(self) -> str:
        """Report what is asked for, in one paragraph."""
        return " ".join(rule.sentence() for rule in (*RULES, BREACHED))
