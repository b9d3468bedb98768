"""One attempt to sign in: what was typed, from where, when; and why it failed."""

from __future__ import annotations

import enum
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError

from accounts import axes_records, events, lockout, mails
from accounts.errors import LockedOut
from accounts.login_name import fingerprint
from accounts.models.lockout_bucket import SITE
from garrison import context
from garrison.errors import Refusal
from garrison.events import Severity, emit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser

    from accounts.lockout import Reservation


SESSION = "session-"  # how a session's own bucket of an account is called, before its id
LONGEST_WAIT_SECONDS = 3.0
BETWEEN_TRIES_SECONDS = 0.02


class Reason(enum.StrEnum):
    """Why a sign-in failed, as events record it; a client learns far less."""

    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - the name of a reason
    UNKNOWN = "unknown"
    INACTIVE = "inactive"
    CHANGED = "changed"  # the password or the account, between the check and the session
    LOCKED = "locked"
    UNVERIFIED = "unverified"
    WRONG_ANSWER = "wrong_answer"  # to a step that asked for more
    REFUSED = "refused"  # by a step, or by the door: the admin's is for staff
    EXPIRED = "expired"  # a half-done sign-in: its minutes, or its tries
    MOVED = "moved"  # a half-done sign-in: another device or network
    OTHER_BACKEND = "other_backend"


@dataclass(slots=True)
class Attempt:
    """What was tried; ``login_name`` is raw, so it is kept out of the ``repr``.

    ``device`` is a trusted device's id, or names the session that asks. ``reservations`` count it
    in every bucket, until it is complete or released.
    """

    login_name: str = field(repr=False)
    now: datetime
    ip: str | None
    device: str = lockout.ELSEWHERE
    reservations: list[Reservation] = field(default_factory=list)

    @classmethod
    def of(cls, login_name: str, *, now: datetime, device: str = lockout.ELSEWHERE) -> Attempt:
        """Begin one from the present request's address."""
        return cls(login_name=login_name, now=now, ip=context.current().ip, device=device)

    def reserve(self) -> None:
        """Reserve it in every bucket; raises ``LockedOut``."""
        buckets = lockout.buckets_for(login_name=self.login_name, ip=self.ip, device=self.device)
        self.reservations = lockout.reserve(buckets=buckets, now=self.now)

    def reserve_when_free(self, refusal: LockedOut) -> LockedOut | None:
        """Reserve for a right password that others, being checked now, left no place for.

        Return the refusal where the bucket locks meanwhile, or nothing is free in time. It waits
        for their verdicts: whoever makes it wait has the password. Of wrong ones at once, no more
        than there are places count, and of right ones all get in.
        """
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while refusal.until is None and time.monotonic() < deadline:
            time.sleep(BETWEEN_TRIES_SECONDS)
            try:
                self.reserve()
            except LockedOut as again:
                refusal = again
            else:
                return None
        return refusal

    def refuse(self, refusal: LockedOut, *, account: AbstractBaseUser | None, owner: Any) -> None:
        """Emit that it met a lock, and leave the mail by which an owner unlocks it.

        ``owner`` is the account where the password was right. A row is left for every other too, in
        as many statements: the answer's time shows nobody which it was.
        """
        self.emit_failed(account=account, reason=Reason.LOCKED)
        if refusal.until is not None and not self.device.startswith(SESSION):
            user_id = owner.pk if owner is not None else None
            mails.queue("unlock_code", user_id=user_id, until=refusal.until)

    @contextmanager
    def released_on_error(self) -> Iterator[None]:
        """Release it where the block ends in an error that is no verdict on the person.

        What broke while nothing was decided costs nobody a place: else an outage of the database
        would lock people out after it. A refusal of the 500s ("busy", "not recorded") is such an
        error.
        """
        try:
            yield
        except BaseException as error:
            if not isinstance(error, Refusal) or error.status >= 500:
                with suppress(DatabaseError):  # gone, and the way to release with it
                    lockout.release(reservations=self.reservations)
            raise

    def fail(self, *, account: AbstractBaseUser | None, reason: Reason) -> None:
        """Leave the reservations taken, record and emit the failure, and lock what is full."""
        self.emit_failed(account=account, reason=reason)
        axes_records.record_failure(
            login_name=self.login_name, account=account, ip=self.ip, now=self.now
        )
        for reservation in self.reservations:
            owner = account if reservation.is_account else None
            user_id = owner.pk if owner is not None else None
            until = lockout.lock(reservation=reservation, user_id=user_id, now=self.now)
            if until is not None:
                _emit_locked(reservation, owner, until)
                if reservation.is_account:  # a name that nobody has takes the same statements
                    mails.queue("lockout_notice", user_id=user_id, until=until)

    def reserve_again(self) -> None:
        """Take another place for a wrong answer, as a wrong password takes one.

        Where none is left, the answer is the failure that locks, whoever holds the last place.
        """
        with suppress(LockedOut):
            buckets = [lockout.Bucket(made.key, made.places) for made in self.reservations]
            lockout.reserve(buckets=buckets, now=self.now)
        self.reservations = [replace(made, number=made.places) for made in self.reservations]

    def clear(self, *, account: AbstractBaseUser, now: datetime) -> None:
        """Forget the account's failures, because the sign-in is complete: never before that."""
        lockout.clear(reservations=self.reservations, now=now)
        if any(made.is_after_failures for made in self.reservations if made.is_account):
            axes_records.forget(account=account)

    def emit_failed(self, *, account: AbstractBaseUser | None, reason: Reason) -> None:
        """Emit the failure; the account is named where there is one, and what was typed never."""
        data: dict[str, Any] = {
            "reason": str(reason),
            "name_fingerprint": fingerprint(self.login_name),
        }
        if account is not None:
            data["account"] = account.get_username()
        emit(events.LOGIN_FAILED, target=target_of(account), data=data, now=self.now)


def _emit_locked(
    reservation: Reservation, account: AbstractBaseUser | None, until: datetime
) -> None:
    data = {"bucket": reservation.key, "until": until.isoformat(), "locks": reservation.locks + 1}
    target = target_of(account) or reservation.key
    severity = Severity.HIGH if reservation.key == SITE else None
    emit(events.LOCKOUT_STARTED, target=target, data=data, severity=severity)


def target_of(account: AbstractBaseUser | None) -> str:
    """Name an account as events do; nothing where there is none."""
    return f"user:{account.pk}" if account is not None else ""
