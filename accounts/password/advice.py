"""Advice on a password before it is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.views.decorators.debug import sensitive_variables

from accounts.password.policy import reasons_against
from accounts.password.rules import Candidate
from accounts.password.strength import estimate

if TYPE_CHECKING:
    from garrison.errors import FieldError


@dataclass(frozen=True, slots=True)
class Advice:
    """An estimate, and the verdict of the policy; the password is not in it."""

    score: int
    crack_time: str
    feedback: tuple[str, ...]
    errors: list[FieldError]

    @property
    def accepted(self) -> bool:
        """Return whether the policy would take it."""
        return not self.errors


@sensitive_variables("password", "candidate")
def advise(*, password: str, email: str = "") -> Advice:
    """Judge a password as it would be judged when it is set."""
    model = get_user_model()
    user = model(**{model.get_email_field_name(): email})
    strength = estimate(password, words=Candidate.of(password, user=user).words)
    return Advice(
        score=strength.score,
        crack_time=strength.crack_time,
        feedback=strength.feedback,
        errors=reasons_against(password, user=user),
    )
