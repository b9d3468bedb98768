"""A sign-in on its way: what it has proved, and the reservations that count it until it ends."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import DatabaseError

from accounts import axes_records, lockout
from accounts.attempt import Reason
from accounts.errors import SignInExpired
from accounts.models import PendingSignIn
from garrison.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser

    from accounts.attempt import Attempt
    from accounts.lockout import Reservation

PASSWORD_METHOD = "pwd"  # noqa: S105 - the name of a method in RFC 8176


@dataclass(slots=True)
class SignIn:
    """Somebody who has proved something, and has no session yet.

    ``amr`` is what was proved (RFC 8176), ``passed`` the dotted paths of the steps that asked for
    more and were answered; ``pending`` is the row of one that stood half-done.
    """

    account: AbstractBaseUser
    attempt: Attempt
    reservations: list[Reservation]
    amr: list[str] = field(default_factory=lambda: [PASSWORD_METHOD])
    passed: list[str] = field(default_factory=list)
    pending: PendingSignIn | None = None

    def require_claim(self) -> None:
        """Take a half-done one for this request alone: of several at once, one deletes the row.

        Raises :class:`~accounts.errors.SignInExpired` for the others.
        """
        if self.pending and not PendingSignIn.objects.filter(pk=self.pending.pk).delete()[0]:
            self.attempt.emit_failed(account=self.account, reason=Reason.EXPIRED)
            raise SignInExpired

    def clear(self, *, now: datetime) -> None:
        """Forget the account's failures, because the sign-in is complete: never before that."""
        lockout.clear(reservations=self.reservations, now=now)
        if any(made.is_after_failures for made in self.reservations if made.is_account):
            axes_records.forget(account=self.account)

    def fail(self, reason: Reason) -> None:
        """Count it as a failure: the password was right, and that is all it was."""
        self.attempt.fail(account=self.account, reservations=self.reservations, reason=reason)

    @contextmanager
    def released_on_error(self) -> Iterator[None]:
        """Do so, unless it stands half-done: the row that holds its reservations is still there."""
        with released_on_error([] if self.pending else self.reservations):
            yield


@contextmanager
def released_on_error(reservations: Sequence[Reservation]) -> Iterator[None]:
    """Release the reservations where the block ends in an error that is no verdict on the person.

    What broke while nothing was decided costs nobody a place: else an outage of the database would
    lock people out after it. A refusal of the 500s ("busy", "not recorded") is such an error.
    """
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Refusal) or error.status >= 500:
            with suppress(DatabaseError):  # gone, and with it the way to release; the window ends
                lockout.release(reservations=reservations)
        raise
