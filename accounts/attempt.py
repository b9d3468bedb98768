"""One attempt to sign in: what was typed, from where, when; and why it failed."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from accounts import events, lockout
from accounts.login_name import fingerprint
from garrison import context
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser


class Reason(enum.StrEnum):
    """Why a sign-in failed, as events tell it; a client is told far less."""

    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - the name of a reason
    UNKNOWN = "unknown"
    INACTIVE = "inactive"
    CHANGED = "changed"  # the password or the account, between the check and the session
    LOCKED = "locked"
    UNVERIFIED = "unverified"
    OTHER_BACKEND = "other_backend"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried; ``login_name`` is raw, so it is kept out of the ``repr``."""

    login_name: str = field(repr=False)
    now: datetime
    ip: str | None

    @classmethod
    def of(cls, login_name: str, *, now: datetime) -> Attempt:
        """Begin one from the present request's address."""
        return cls(login_name=login_name, now=now, ip=context.current().ip)

    def take_places(self) -> list[lockout.Place]:
        """Take a place in every bucket; raises ``LockedOut``."""
        buckets = lockout.buckets_for(login_name=self.login_name, ip=self.ip)
        return lockout.take_places(buckets=buckets, now=self.now)

    def say_failed(self, *, account: AbstractBaseUser | None, reason: Reason) -> None:
        """Emit the failure; the account is named where there is one, and what was typed never."""
        data: dict[str, Any] = {
            "reason": str(reason),
            "name_fingerprint": fingerprint(self.login_name),
        }
        if account is not None:
            data["account"] = account.get_username()
        emit(events.LOGIN_FAILED, target=target_of(account), data=data, now=self.now)


def target_of(account: AbstractBaseUser | None) -> str:
    """Name an account as events do; nothing where there is none."""
    return f"user:{account.pk}" if account is not None else ""
