"""Who gets which mail, decided when it is sent: no answer waits for it or shows it.

Somebody who asks for a mail leaves a row, whatever the address. Whether there is an account, and
whether its owner may be mailed once more, is looked up afterwards.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth.hashers import is_password_usable

from accounts import codes, lockout
from accounts.conf import settings
from accounts.errors import LockedOut
from accounts.models.mailed_code import Purpose
from accounts.user_model import find_account

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.contrib.auth.base_user import AbstractBaseUser

    from accounts.models import OutgoingMail

    Letter = tuple[str, Mapping[str, Any]]  # the address, and what the template shows besides

logger = logging.getLogger("accounts.mails")

MAIL_WINDOW = timedelta(hours=1)
LOCKOUT_WINDOW = timedelta(days=1)
OWN_NUMBER = 0  # of codes that a trusted device asked for


def letter_for(mail: OutgoingMail, *, now: datetime) -> Letter | None:
    """Return to whom the mail goes and what is in it; ``None`` where it is not to be sent."""
    letter = _BY_TEMPLATE.get(mail.template, _notice)(mail, now)
    return letter if letter and letter[0] else None


def _verification_code(mail: OutgoingMail, now: datetime) -> Letter | None:
    account: Any = find_account(mail.address)
    if account is None or getattr(account, "is_email_verified", True) or not account.is_active:
        return None
    if not _may_mail(mail, account, now=now):
        return None
    code = codes.issue(user_id=account.pk, purpose=Purpose.VERIFY_EMAIL, now=now)
    return _address_of(account), {
        "code": code,
        "choose_password": not is_password_usable(account.password),
    }


def _reset_code(mail: OutgoingMail, now: datetime) -> Letter | None:
    """Mail a code that voids none before it, where strangers asked for it or a trusted device did.

    Strangers together have one mail in half of a code's life: at any moment the newest code that
    was mailed is good for that long at least, so the owner needs no other, and nobody's asking
    takes it away. A trusted device has a budget of its own.
    """
    account: Any = find_account(mail.address)
    if account is None or not account.is_active:
        return None
    key, half = reset_budget_key(account), timedelta(seconds=settings.code_seconds / 2)
    device = mail.facts.get("trusted_device")
    if device:
        may_mail = _counts(mail, f"{key}:{device}", settings.mails_per_hour, MAIL_WINDOW, now=now)
    else:
        may_mail = _counts(mail, key, 1, half, now=now)
    if not may_mail:
        return None
    # Three take turns by the clock: when one is overwritten, its time is over.
    number = OWN_NUMBER if device else 1 + int(now.timestamp() // half.total_seconds()) % 3
    code = codes.issue(user_id=account.pk, purpose=Purpose.RESET_PASSWORD, now=now, number=number)
    return _address_of(account), {"code": code}


def reset_budget_key(account: AbstractBaseUser) -> str:
    """Name the bucket of reset mails that strangers ask for."""
    return f"mail:reset_code:{account.pk}"


def _unlock_code(mail: OutgoingMail, now: datetime) -> Letter | None:
    """Mail the way into a locked account to who has its password: a few a day.

    One at a time in each lock: there is another when the code of the one before is over.

    A wrong password leaves a row all the same, which is nobody's.
    """
    account: Any = mail.user
    if account is None or not account.is_active:
        return None
    key, most = f"unlock-mail:{account.pk}", settings.unlock_mails_per_day
    until = datetime.fromisoformat(mail.facts["until"])
    code_life = timedelta(seconds=settings.code_seconds)
    if not (
        _counts(mail, f"{key}:{until.timestamp():.0f}", 1, code_life, now=now)
        and _counts(mail, key, most, LOCKOUT_WINDOW, now=now)
    ):
        return None
    code = codes.issue(user_id=account.pk, purpose=Purpose.UNLOCK, now=now)
    return _address_of(account), {"code": code, "name": account.get_username()}


def _reset_by_staff(mail: OutgoingMail, now: datetime) -> Letter | None:
    account: Any = mail.user
    if account is None or not account.is_active:
        return None
    code = codes.issue(user_id=account.pk, purpose=Purpose.RESET_PASSWORD, now=now)
    return _address_of(account), {"code": code}


def _registration_notice(mail: OutgoingMail, now: datetime) -> Letter | None:
    account = find_account(mail.address)
    if account is None or not _may_mail(mail, account, now=now):
        return None
    return _address_of(account), {}


def _lockout_notice(mail: OutgoingMail, now: datetime) -> Letter | None:
    """Inform the owner, at most once a day; a name that nobody has leaves a row all the same."""
    if mail.user is None or not _counts(
        mail, f"lockout-mail:{mail.user_id}", 1, LOCKOUT_WINDOW, now=now
    ):
        return None
    return _address_of(mail.user), {}


def _notice(mail: OutgoingMail, now: datetime) -> Letter | None:  # noqa: ARG001 - as the others
    return mail.address or _address_of(mail.user), {}


def _address_of(account: Any) -> str:
    return str(getattr(account, account.get_email_field_name(), "") or "") if account else ""


def _may_mail(mail: OutgoingMail, account: Any, *, now: datetime) -> bool:
    """Return whether strangers may make the site mail this person once more; counts the mail.

    The limit is the account's, whatever the address the requests come from: nobody's mailbox is
    flooded through us. Each mail has its own: notices of repeated registrations must not use up
    the codes by which an owner comes back.
    """
    key = f"mail:{mail.template}:{account.pk}"
    return _counts(mail, key, settings.mails_per_hour, MAIL_WINDOW, now=now)


def _counts(mail: OutgoingMail, key: str, places: int, window: timedelta, *, now: datetime) -> bool:
    if mail.tries > 1:  # counted when it was tried first
        return True
    try:
        lockout.reserve(buckets=[lockout.Bucket(key, places)], now=now, window=window)
    except LockedOut:  # no lock of anybody's: the window's mails are used up
        logger.warning("The mail %s is not sent: its limit is reached.", mail.template)
        return False
    return True


_BY_TEMPLATE: dict[str, Callable[[OutgoingMail, datetime], Letter | None]] = {
    "verification_code": _verification_code,
    "reset_code": _reset_code,
    "reset_by_staff": _reset_by_staff,
    "registration_notice": _registration_notice,
    "lockout_notice": _lockout_notice,
    "unlock_code": _unlock_code,
}
