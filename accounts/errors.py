"""What accounts refuses, one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from garrison.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class AccountRefusal(Refusal):
    """Base of every refusal here; ``reason`` is what the event of a failed sign-in calls it.

    One that is no failure counts as none where a step raises it.
    """

    reason: ClassVar[str] = "refused"
    is_failure: ClassVar[bool] = True


class InvalidCredentials(AccountRefusal):
    """Unknown, wrong, inactive: one answer for all, so that it tells nobody which it was."""

    code = "invalid_credentials"
    status = 401
    title = "The address or the password is not right"


class LockedOut(AccountRefusal):
    """Too many failures; the same whether the account exists or not."""

    code = "locked_out"
    status = 429
    title = "Too many failed sign-ins; wait before trying again"

    def __init__(
        self, *, retry_after_seconds: int | None = None, until: datetime | None = None
    ) -> None:
        """Keep when the lock ends; ``until`` is ``None`` where others are being checked only."""
        super().__init__(retry_after_seconds=retry_after_seconds)
        self.until = until


class EmailUnverified(AccountRefusal):
    """The password was right, and the address has not been verified; said only then."""

    code = "email_unverified"
    status = 403
    title = "Verify your address first: enter the code that was mailed to you"
    reason = "unverified"


_WHY_NEW = {
    "password_expired": "Your password has expired; choose a new one",
    "password_breached": "Your password is known from a breach; choose a new one",
}


class StepRequired(AccountRefusal):
    """The password was right, and a step asks for more; ``token`` continues the sign-in."""

    code = "mfa_required"
    status = 401
    title = "One more step is needed to sign in"

    def __init__(self, *, token: str, methods: Sequence[str], reason: str = "") -> None:
        """Keep what the answer needs; ``methods`` names the ways to answer.

        ``reason`` is why a new password is asked for: ``password_expired``, ``password_breached``.
        """
        super().__init__(_WHY_NEW.get(reason, ""))
        self.token = token
        self.methods = list(methods)
        if reason:  # else the answer has no such field
            self.why = reason


class SignInExpired(AccountRefusal):
    """A half-done sign-in that is over, complete, or not this device's: one answer for all."""

    code = "mfa_token_invalid"
    status = 401
    title = "This sign-in cannot be continued; begin again"
    is_failure = False


class PasswordRejected(AccountRefusal):
    """A new password that the policy refuses; ``errors`` holds each reason."""

    code = "password_rejected"
    status = 400
    title = "The new password was not accepted"
    is_failure = False


class CurrentPasswordWrong(AccountRefusal):
    """Somebody who is signed in did not know their present password."""

    code = "current_password_wrong"
    status = 400
    title = "The current password is not right"


class CodeInvalid(AccountRefusal):
    """A wrong, used, replaced or unknown code, or one that was guessed at too often."""

    code = "code_invalid"
    status = 400
    title = "The code is not right; ask for a new one if this was the last try"


class AnswerInvalid(CodeInvalid):
    """A wrong answer to the step that asked for more."""

    status = 401
    title = "The answer is not right"
    reason = "wrong_answer"


class CodeExpired(AccountRefusal):
    """The right code, too late."""

    code = "code_expired"
    status = 400
    title = "The code has expired; ask for a new one"


class HashingBusy(AccountRefusal):
    """Every hashing slot was taken; nothing was compared, and nothing counts."""

    code = "busy"
    status = 503
    title = "Too many passwords are being checked at this moment"


class DeviceNotFound(AccountRefusal):
    """No trusted device of this person has the id; alike for somebody else's."""

    code = "device_not_found"
    status = 404
    title = "There is no such trusted device"


class CorpusMalformed(AccountRefusal):
    """Told to staff only: a file is no list of breached passwords."""

    code = "corpus_malformed"
    status = 400
    title = "That is no list of breached passwords, sorted by hash"


class AccountUnknown(AccountRefusal):
    """Told to staff only: no account has this name."""

    code = "account_unknown"
    status = 404
    title = "There is no such account"


class AddressMalformed(AccountRefusal):
    """Told to staff only: the text is not an address."""

    code = "address_malformed"
    status = 400
    title = "That is not an IPv4 or IPv6 address"


class OwnAccount(AccountRefusal):
    """Told to staff only: they were about to delete themselves."""

    code = "own_account"
    status = 409
    title = "Nobody may delete their own account; ask another administrator"


class LastSuperuser(AccountRefusal):
    """Told to staff only: after it nobody could change privileges any more."""

    code = "last_superuser"
    status = 409
    title = "This is the last superuser who can sign in; make another one first"


class GrantRefused(AccountRefusal):
    """Privileges that the giver may not give, or does not hold."""

    code = "grant_refused"
    status = 403
    title = "You may not give or take these privileges: you do not hold them yourself"
