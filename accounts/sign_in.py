"""A sign-in on its way: who it is, and what has been proved so far."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from accounts import devices
from accounts.attempt import Reason
from accounts.errors import SignInExpired
from accounts.lockout import ELSEWHERE
from accounts.models import PendingSignIn

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser

    from accounts.attempt import Attempt
    from accounts.models import TrustedDevice

PASSWORD_METHOD = "pwd"  # noqa: S105 - the name of a method in RFC 8176
NEW_PASSWORD = "new_password"  # noqa: S105 - the method by which a password is replaced
MUST_CHANGE = "must_change"  # a note: why the password has to be replaced, one of the next two
EXPIRED = "password_expired"
BREACHED = "password_breached"
EXPIRES_AT = "password_expires_at"  # a note: when, in ISO 8601, where it is soon
EXPIRES_AT_ATTRIBUTE = "accounts_password_expires_at"  # where an answer finds that note: the user


@dataclass(slots=True)
class SignIn:
    """Somebody who has proved something, and has no session yet.

    ``amr`` is what was proved (RFC 8176), ``passed`` the dotted paths of the steps that asked for
    more and were answered; ``notes`` what the steps noted when they saw the password; ``pending``
    is the row of one that stood half-done.
    """

    account: AbstractBaseUser
    attempt: Attempt
    amr: list[str] = field(default_factory=lambda: [PASSWORD_METHOD])
    passed: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    pending: PendingSignIn | None = None

    def require_claim(self) -> None:
        """Take a half-done one for this request alone: of several at once, one deletes the row.

        Raises :class:`~accounts.errors.SignInExpired` for the others.
        """
        if self.pending and not PendingSignIn.objects.filter(pk=self.pending.pk).delete()[0]:
            self.attempt.emit_failed(account=self.account, reason=Reason.EXPIRED)
            raise SignInExpired

    def trust(self, *, now: datetime) -> TrustedDevice:
        """Trust the device from now on, or for longer, because the sign-in is complete."""
        known = self.attempt.device
        return devices.trust(self.account, device_id="" if known == ELSEWHERE else known, now=now)

    def clear(self, *, now: datetime) -> None:
        """Forget the account's failures, because the sign-in is complete: never before that."""
        self.attempt.clear(account=self.account, now=now)

    def fail(self, reason: Reason) -> None:
        """Count it as a failure: the password was right, and that is all it was."""
        self.attempt.fail(account=self.account, reason=reason)

    def released_on_error(self) -> AbstractContextManager[None]:
        """Release what was reserved, unless a row that stands half-done still holds it."""
        return nullcontext() if self.pending else self.attempt.released_on_error()
